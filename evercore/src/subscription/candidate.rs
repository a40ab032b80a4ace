//! Becoming the owner of a durable subscription.

use std::{
    hash::{BuildHasher as _, RandomState},
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::TryFutureExt as _;
use tokio::time::{sleep, timeout};

use super::{
    StartFrom,
    delivery::with_causes,
    owner::Owned,
    patience::{Patience, patiently},
    shutdown::Shutdown,
    stored_filter::{StoredFilter, describe},
};
use crate::{
    Error, EventStore, LogFilter, Result,
    engine::{Claim, EngineError, NewSubscription, StoredSubscription, SubscriptionChange},
    text::Text,
};

/// What to do when the stored subscription is not the wanted one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Redefinition {
    /// It is an error.
    Refuse,
    /// It gets the wanted filter.
    Filter,
    /// It gets the wanted filter, and starts anew.
    Reset(StartFrom),
}

/// Waits are not shorter, so that there are not too many.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How a try to claim a subscription ended.
enum Attempt {
    Claimed(Owned),
    /// Somebody else has it for so long.
    Held(Duration),
}

/// Who wants to own a subscription, and what that is to be.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) store: EventStore,
    pub(super) name: String,
    pub(super) owner: Option<String>,
    pub(super) filter: LogFilter,
    pub(super) start: StartFrom,
    pub(super) redefinition: Redefinition,
    pub(super) lease: Duration,
    pub(super) standby: bool,
    pub(super) poll_interval: Duration,
}

impl Candidate {
    /// Defines the subscription if it is new, claims it, and makes it what is wanted. Returns it with the filter
    /// to follow; `None` when a shutdown was requested before that.
    pub(super) async fn claim(self, shutdown: &mut Shutdown) -> Result<Option<(Owned, LogFilter)>> {
        Text::SUBSCRIPTION.check(&self.name)?;
        let owner = self.owner.clone().unwrap_or_else(unique_owner);
        Text::OWNER.check(&owner)?;
        let Some(defined) = shutdown.or(self.define()).await else { return Ok(None) };
        defined?;
        let Some(mut owned) = self.claim_or_wait(&owner, shutdown).await? else { return Ok(None) };
        let settled = shutdown.or(self.settle(&mut owned)).await;
        if let Some(Ok(filter)) = settled {
            return Ok(Some((owned, filter)));
        }
        // Who wants something else, says nothing of how the subscription is doing.
        let failure = match &settled {
            None | Some(Ok(_) | Err(Error::SubscriptionMismatch { .. })) => None,
            Some(Err(error)) => Some(with_causes(error)),
        };
        owned.release(failure.as_deref()).await;
        settled.transpose().map(|_| None)
    }

    /// Defines the subscription, unless it is there: its start is resolved once.
    async fn define(&self) -> Result<()> {
        if let Some(stored) = patiently!(self.store.find_subscription(&self.name))? {
            // Compared before the claim too, which would forget the last failure, and may have to wait.
            let is_same =
                StoredFilter::parse(&stored.filter).is_some_and(|stored| stored.is_of(&self.filter));
            let is_refused = matches!(self.redefinition, Redefinition::Refuse) && !is_same;
            return if is_refused { Err(self.mismatch(&stored)) } else { Ok(()) };
        }
        let filter = self.wanted().await?;
        let cursor = patiently!(self.start.resolve(&self.store))?;
        let subscription = NewSubscription { name: self.name.clone(), filter, cursor };
        let define = || self.store.engine_dyn().define_subscription(&subscription);
        patiently!(define().map_err(self.cannot("define"))).map(drop)
    }

    async fn wanted(&self) -> Result<String> {
        let filter = patiently!(StoredFilter::of(&self.filter, &self.store))?;
        Ok(filter.to_text())
    }

    /// Claims the subscription, at once or when its owner gives it up; `None` when a shutdown is requested before.
    async fn claim_or_wait(&self, owner: &str, shutdown: &mut Shutdown) -> Result<Option<Owned>> {
        let hub = self.store.hub();
        let mut patience = Patience::default();
        // The first time it is tried without a look.
        let mut held = None;
        // Heard from before the claim, and before each look, so that no release is missed.
        let released = hub.released.notified();
        tokio::pin!(released);
        released.as_mut().enable();
        loop {
            let wait = match held {
                Some(wait) => wait,
                // Not cut off by a shutdown: what was claimed has to be given up.
                None => match self.try_to_claim(owner).await {
                    Ok(Attempt::Claimed(owned)) => return Ok(Some(owned)),
                    Ok(Attempt::Held(wait)) => wait,
                    Err(error) if error.is_temporary() => {
                        let pause = sleep(patience.pause(&error));
                        match shutdown.or(pause).await {
                            Some(()) => continue,
                            None => return Ok(None),
                        }
                    }
                    Err(error) => return Err(error),
                },
            };
            // Half of the time is for waiting, and half for the age of a look that others had.
            let (pause, age) = match wait < self.poll_interval {
                true => (wait, Duration::ZERO),
                false => (self.poll_interval / 2, self.poll_interval / 2),
            };
            let pause = timeout(pause.max(SHORTEST_PAUSE), released.as_mut());
            let age = match shutdown.or(pause).await {
                Some(Ok(())) => Duration::ZERO,
                Some(Err(_)) => age,
                None => return Ok(None),
            };
            released.set(hub.released.notified());
            released.as_mut().enable();
            let look = hub.lookout.held(&self.store, &self.name, owner, age);
            held = match shutdown.or(look).await {
                Some(Ok(held)) => held,
                // The claim meets it too.
                Some(Err(_)) => None,
                None => return Ok(None),
            };
        }
    }

    async fn try_to_claim(&self, owner: &str) -> Result<Attempt> {
        let before = self.store.hub().heartbeats.checks();
        let claim = self.store.engine_dyn().claim_subscription(&self.name, owner, self.lease).await;
        let (error, wait) = match claim.map_err(self.cannot("claim"))? {
            Claim::Claimed(claimed) => {
                let owned = Owned::new(self.store.clone(), claimed, self.lease, before);
                return Ok(Attempt::Claimed(owned));
            }
            Claim::Unknown => return Err(Error::UnknownSubscription(self.name())),
            Claim::Paused => (Error::SubscriptionPaused(self.name()), Duration::MAX),
            Claim::Held { owner, remaining } => {
                (Error::AlreadyOwned { name: self.name(), owner: owner.into(), remaining }, remaining)
            }
        };
        if self.standby { Ok(Attempt::Held(wait)) } else { Err(error) }
    }

    /// Compares what is stored with what is wanted, and makes it so if that is asked for.
    async fn settle(&self, owned: &mut Owned) -> Result<LogFilter> {
        let mut stored = owned.claimed().clone();
        let filter = match StoredFilter::parse(&stored.filter).filter(|stored| stored.is_of(&self.filter)) {
            // Types may have other names now, which those have to know who wait for events.
            Some(same) => Some(same.renamed(&self.filter).to_text()).filter(|text| *text != stored.filter),
            None if matches!(self.redefinition, Redefinition::Refuse) => return Err(self.mismatch(&stored)),
            None => Some(self.wanted().await?),
        };
        if let Redefinition::Reset(start) = self.redefinition {
            let cursor = patiently!(start.resolve(&self.store))?;
            stored = owned.change(&SubscriptionChange::Reset { cursor, filter }).await?;
        } else if let Some(filter) = filter {
            stored = owned.change(&SubscriptionChange::Redefine { filter }).await?;
        }
        owned.check_log(&stored).await?;
        let filter = self.filter.clone();
        Ok(match StoredFilter::parse(&stored.filter) {
            Some(stored) => stored.follow(filter),
            None => filter,
        })
    }

    fn name(&self) -> Box<str> {
        self.name.as_str().into()
    }

    fn mismatch(&self, stored: &StoredSubscription) -> Error {
        let stored = StoredFilter::parse(&stored.filter)
            .map_or_else(|| stored.filter.clone(), |stored| stored.to_string());
        Error::SubscriptionMismatch {
            name: self.name(),
            stored: stored.into(),
            wanted: describe(&self.filter).into(),
        }
    }

    fn cannot(&self, what: &str) -> impl FnOnce(EngineError) -> Error + use<> {
        Error::engine(format!("{what} the subscription {:?}", self.name))
    }
}

/// A name that no other run has, on whatever machine: two containers may have the same host name and process id,
/// and have been started at the same time.
fn unique_owner() -> String {
    static RUN: AtomicU64 = AtomicU64::new(0);
    let run = RUN.fetch_add(1, Ordering::Relaxed);
    // Its keys come from the operating system.
    let random = RandomState::new();
    format!("{}-{run}-{:016x}{:016x}", process::id(), random.hash_one(run), random.hash_one(!run))
}
