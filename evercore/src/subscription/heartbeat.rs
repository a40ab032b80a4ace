//! The renewal of leases: one task and one call to the engine for all subscriptions of a store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
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

/// The leases that a store holds.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    members: Mutex<Members>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Members {
    leases: HashMap<FencingToken, Member>,
    is_running: bool,
}

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
    fenced: watch::Receiver<Option<Fenced>>,
}

impl Heartbeats {
    /// Renews a lease that has just been given.
    pub(super) fn keep(&self, store: &EventStore, renewal: Renewal) -> Lease {
        let (sender, fenced) = watch::channel(None);
        let token = renewal.token;
        let mut members = self.0.lock();
        let due = Instant::now() + renewal.lease / PART;
        members.leases.insert(token, Member { renewal, due, fenced: sender });
        if !members.is_running {
            members.is_running = true;
            let running = Running { shared: Arc::clone(&self.0), has_ended: false };
            tokio::spawn(running.renew_all(store.downgrade()));
        }
        drop(members);
        self.0.changed.notify_one();
        Lease { token, shared: Arc::clone(&self.0), fenced }
    }

    /// Looks at once whether all leases are still held.
    pub(super) fn check_now(&self) {
        for member in self.0.lock().leases.values_mut() {
            member.due = Instant::now();
        }
        self.0.changed.notify_one();
    }
}

impl Lease {
    /// Waits until the subscription is lost.
    pub(super) fn lost(&self) -> impl Future<Output = Fenced> + Send + use<> {
        let mut fenced = self.fenced.clone();
        async move {
            if let Ok(reason) = fenced.wait_for(Option::is_some).await
                && let Some(reason) = &*reason
            {
                return reason.clone();
            }
            // The task ended with its runtime, or with the store.
            std::future::pending().await
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
}

/// The task. When it is dropped with its runtime, the next lease starts another one.
struct Running {
    shared: Arc<Shared>,
    has_ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            self.shared.lock().is_running = false;
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
        let renewals: Vec<_> =
            self.shared.lock().leases.values().map(|member| member.renewal.clone()).collect();
        let begun = Instant::now();
        let answers = store.engine_dyn().renew_leases(&renewals).await;
        let (part, answers) = match answers {
            Ok(answers) => (PART, answers),
            Err(error) => {
                tracing::warn!(%error, leases = renewals.len(), "cannot renew leases");
                (PART_AFTER_FAILURE, vec![None; renewals.len()])
            }
        };
        let mut members = self.shared.lock();
        for (renewal, answer) in renewals.iter().zip(answers) {
            let Some(member) = members.leases.get_mut(&renewal.token) else { continue };
            match answer {
                None => member.due = begun + (renewal.lease / part).max(Duration::from_millis(1)),
                Some(fenced) => {
                    member.fenced.send_replace(Some(fenced));
                    members.leases.remove(&renewal.token);
                }
            }
        }
    }
}
