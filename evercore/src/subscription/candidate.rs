//! Becoming the owner of a durable subscription.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::TryFutureExt as _;

use super::{
    StartFrom,
    owner::Owned,
    patience::patiently,
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
    /// to follow.
    pub(super) async fn claim(self) -> Result<(Owned, LogFilter)> {
        Text::SUBSCRIPTION.check(&self.name)?;
        let owner = self.owner.clone().unwrap_or_else(unique_owner);
        Text::OWNER.check(&owner)?;
        self.define().await?;
        let claimed = self.claim_or_wait(&owner).await?;
        let mut owned = Owned::new(self.store.clone(), &claimed, self.lease);
        match self.settle(&mut owned, claimed).await {
            Ok(filter) => Ok((owned, filter)),
            Err(error) => {
                owned.release(None).await;
                Err(error)
            }
        }
    }

    /// Defines the subscription, unless it is there: its start is resolved once.
    async fn define(&self) -> Result<()> {
        if patiently!(self.store.find_subscription(&self.name))?.is_some() {
            return Ok(());
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

    async fn claim_or_wait(&self, owner: &str) -> Result<StoredSubscription> {
        loop {
            // Heard from before the look on, so that no release is missed.
            let released = self.store.hub().released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            let claim = || self.store.engine_dyn().claim_subscription(&self.name, owner, self.lease);
            let (error, wait) = match patiently!(claim().map_err(self.cannot("claim")))? {
                Claim::Claimed(subscription) => return Ok(subscription),
                Claim::Unknown => return Err(Error::UnknownSubscription(self.name())),
                Claim::Paused => (Error::SubscriptionPaused(self.name()), self.poll_interval),
                Claim::Held { owner, remaining } => {
                    let wait = remaining.min(self.poll_interval);
                    (Error::AlreadyOwned { name: self.name(), owner: owner.into(), remaining }, wait)
                }
            };
            if !self.standby {
                return Err(error);
            }
            let _ = tokio::time::timeout(wait.max(Duration::from_millis(1)), released).await;
        }
    }

    /// Compares what is stored with what is wanted, and makes it so if that is asked for.
    async fn settle(&self, owned: &mut Owned, mut stored: StoredSubscription) -> Result<LogFilter> {
        let filter = match is_same(&stored, &self.filter) {
            true => None,
            false if matches!(self.redefinition, Redefinition::Refuse) => return Err(self.mismatch(&stored)),
            false => Some(self.wanted().await?),
        };
        if let Redefinition::Reset(start) = self.redefinition {
            let cursor = patiently!(start.resolve(&self.store))?;
            stored = owned.change(&SubscriptionChange::Reset { cursor, filter }).await?;
        } else if let Some(filter) = filter {
            stored = owned.change(&SubscriptionChange::Redefine { filter }).await?;
        }
        owned.check_anchor(stored.anchor).await?;
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

fn is_same(stored: &StoredSubscription, wanted: &LogFilter) -> bool {
    StoredFilter::parse(&stored.filter).is_some_and(|stored| stored.is_of(wanted))
}

/// A name that no other run has, on whatever machine: two containers may have the same host name and process id.
fn unique_owner() -> String {
    static RUN: AtomicU64 = AtomicU64::new(0);
    let run = RUN.fetch_add(1, Ordering::Relaxed);
    format!("{}-{run}-{:016x}", process::id(), fastrand::u64(..))
}
