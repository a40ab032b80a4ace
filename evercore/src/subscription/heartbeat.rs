//! The renewal of leases: one task and one call to the engine for all subscriptions of a store.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::yield_now,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    EventStore,
    engine::{Fenced, FencingToken, Renewal},
    store::WeakStore,
};

/// A lease is renewed when this part of it has passed.
const PART: u32 = 3;

/// After a failure it is tried again so soon, as part of the lease.
const PART_AFTER_FAILURE: u32 = 15;

/// Where some leases are much shorter than others, an answer is waited for so long at least.
const SHORTEST_ANSWER: Duration = Duration::from_secs(1);

const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The leases that a store holds.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    members: Mutex<Members>,
    changed: Notify,
    /// Is sent when the task was dropped, with its runtime or by a panic.
    dropped: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Members {
    leases: HashMap<FencingToken, Member>,
    is_running: bool,
    checks: Checks,
}

/// How often it was asked for that all leases are looked at.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checks(u64);

#[derive(Debug)]
struct Member {
    renewal: Renewal,
    due: Instant,
    fenced: watch::Sender<Option<Fenced>>,
}

/// A lease that is renewed until this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    token: FencingToken,
    shared: Arc<Shared>,
    store: WeakStore,
    fenced: watch::Receiver<Option<Fenced>>,
}

impl Heartbeats {
    /// Renews a lease that has just been given. When there were checks since the claim began, it missed them, and is
    /// looked at now.
    pub(super) fn keep(&self, store: &EventStore, renewal: Renewal, before: Checks) -> Lease {
        let (sender, fenced) = watch::channel(None);
        let token = renewal.token;
        let mut members = self.0.lock();
        let wait = if members.checks == before { renewal.lease / PART } else { Duration::ZERO };
        members.leases.insert(token, Member { renewal, due: Instant::now() + wait, fenced: sender });
        drop(members);
        let lease = Lease { token, shared: Arc::clone(&self.0), store: store.downgrade(), fenced };
        lease.shared.ensure_running(&lease.store);
        lease.shared.changed.notify_one();
        lease
    }

    /// How often [`check_now`](Self::check_now) was called.
    pub(super) fn checks(&self) -> Checks {
        self.0.lock().checks
    }

    /// Looks at once whether all leases are still held.
    pub(super) fn check_now(&self) {
        let mut members = self.0.lock();
        members.checks.0 += 1;
        for member in members.leases.values_mut() {
            member.due = Instant::now();
        }
        drop(members);
        self.0.changed.notify_one();
    }
}

impl Lease {
    /// Waits until the subscription is lost. Who waits also sees to it that the lease is renewed: the task that does
    /// it may have ended with the runtime of another subscription.
    pub(super) fn lost(&self) -> impl Future<Output = Fenced> + Send + use<> {
        let (shared, store, mut fenced) = (Arc::clone(&self.shared), self.store.clone(), self.fenced.clone());
        let mut dropped = self.shared.dropped.subscribe();
        async move {
            loop {
                shared.ensure_running(&store);
                let reason = async { fenced.wait_for(Option::is_some).await.ok()?.clone() };
                tokio::select! {
                    Some(reason) = reason => return reason,
                    // On a runtime that shuts down, it is dropped again at once.
                    Ok(()) = dropped.changed() => yield_now().await,
                    // The lease is kept no more.
                    else => std::future::pending().await,
                }
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.lock().leases.remove(&self.token);
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ensure_running(self: &Arc<Self>, store: &WeakStore) {
        let was_running = mem::replace(&mut self.lock().is_running, true);
        if !was_running {
            // Not under the lock: on a runtime that shuts down the task is dropped here and now.
            let running = Running { shared: Arc::clone(self), has_ended: false };
            tokio::spawn(running.renew_all(store.clone()));
        }
    }
}

/// The task. When it is dropped, with its runtime or by a panic, who waits for a lease starts another one.
struct Running {
    shared: Arc<Shared>,
    has_ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            self.shared.lock().is_running = false;
            self.shared.dropped.send_replace(());
        }
    }
}

impl Running {
    async fn renew_all(mut self, store: WeakStore) {
        while let Some(due) = self.next_due() {
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.shared.changed.notified() => continue,
            }
            let Some(store) = store.upgrade() else { return };
            self.renew_once(&store).await;
        }
    }

    /// When the first lease is due; `None`, and the end of the task, when there is none.
    fn next_due(&mut self) -> Option<Instant> {
        let mut members = self.shared.lock();
        let due = members.leases.values().map(|member| member.due).min();
        members.is_running = due.is_some();
        self.has_ended = due.is_none();
        due
    }

    /// All leases are renewed, not only those that are due: that is the same one call.
    async fn renew_once(&self, store: &EventStore) {
        let begun = Instant::now();
        let (renewals, checks) = self.shared.lock().begin(begun);
        let leases = || renewals.iter().map(|renewal| renewal.lease);
        let (Some(shortest), Some(longest)) = (leases().min(), leases().max()) else { return };
        // So that a call without an answer costs no lease.
        let limit = (shortest / PART).max(SHORTEST_ANSWER).min(longest / PART);
        let answers = match timeout(limit, store.engine_dyn().renew_leases(&renewals)).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => {
                return tracing::warn!(%error, leases = renewals.len(), "cannot renew leases");
            }
            Err(_) => {
                return tracing::warn!(leases = renewals.len(), "the store does not renew leases in time");
            }
        };
        let mut members = self.shared.lock();
        for (renewal, answer) in renewals.iter().zip(answers) {
            members.renewed(renewal, answer, begun, checks);
        }
    }
}

impl Members {
    /// What is to be renewed. Until it is, it is tried again soon, whatever happens to this try.
    fn begin(&mut self, now: Instant) -> (Vec<Renewal>, Checks) {
        for member in self.leases.values_mut() {
            member.due = now + (member.renewal.lease / PART_AFTER_FAILURE).max(SHORTEST_PAUSE);
        }
        (self.leases.values().map(|member| member.renewal.clone()).collect(), self.checks)
    }

    fn renewed(&mut self, renewal: &Renewal, answer: Option<Fenced>, begun: Instant, checks: Checks) {
        let Some(member) = self.leases.get_mut(&renewal.token) else { return };
        match answer {
            // What was asked for meanwhile, the answer may not know yet.
            None if self.checks != checks => {}
            None => member.due = begun + (renewal.lease / PART).max(SHORTEST_PAUSE),
            Some(fenced) => {
                member.fenced.send_replace(Some(fenced));
                self.leases.remove(&renewal.token);
            }
        }
    }
}
