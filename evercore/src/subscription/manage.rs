//! Changing subscriptions from outside.

use super::StartFrom;
use crate::{
    Error, EventStore, Result,
    engine::{OwnerError, SubscriptionChange},
};

impl EventStore {
    /// Pauses a subscription: its owner is stopped, with [`Error::Fenced`], and nobody can run it until it is
    /// [resumed](Self::resume_subscription).
    ///
    /// An owner in this process is stopped at once, one elsewhere at its next checkpoint, and at the latest when it
    /// renews its lease.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSubscription`], [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// It is paused or not.
    pub async fn pause_subscription(&self, name: &str) -> Result<()> {
        self.change_subscription(name, &SubscriptionChange::Pause).await
    }

    /// Lets a paused subscription run again. Those who [stand by](crate::Subscription::standby) take it up.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSubscription`], [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// It is resumed or not.
    pub async fn resume_subscription(&self, name: &str) -> Result<()> {
        self.change_subscription(name, &SubscriptionChange::Resume).await
    }

    /// Sets the cursor of a subscription, forwards or backwards. Its owner is stopped as by a
    /// [pause](Self::pause_subscription).
    ///
    /// To build a read model anew: [pause](Self::pause_subscription) the subscription, empty the tables, reset it to the
    /// [beginning](StartFrom::Beginning), [resume](Self::resume_subscription) it, and run it again. A transaction of its
    /// owner that is open when it is paused can commit nothing any more, or did before the pause.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSubscription`], [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// It is reset or not.
    pub async fn reset_subscription(&self, name: &str, start: StartFrom) -> Result<()> {
        let cursor = start.resolve(self).await?;
        self.change_subscription(name, &SubscriptionChange::Reset { cursor, filter: None }).await
    }

    /// Removes a subscription, with its failed deliveries. Its owner is stopped as by a
    /// [pause](Self::pause_subscription), also when the subscription is defined again meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSubscription`], [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// It is removed or not.
    pub async fn delete_subscription(&self, name: &str) -> Result<()> {
        self.change_subscription(name, &SubscriptionChange::Delete).await
    }

    async fn change_subscription(&self, name: &str, change: &SubscriptionChange) -> Result<()> {
        let changed = self.engine_dyn().change_subscription(name, change, None).await;
        let changed = changed.map_err(|error| match error {
            OwnerError::Engine(source) => {
                Error::Engine { action: format!("change the subscription {name:?}"), source }
            }
            OwnerError::Fenced(reason) => Error::Fenced { name: name.into(), reason },
            OwnerError::Moved(_) => unreachable!("a change without a token does not look at the cursor"),
        })?;
        // An owner or somebody on standby in this process need not wait to find out.
        self.hub().heartbeats.check_now();
        self.hub().released.notify_waiters();
        changed.map(drop).ok_or_else(|| Error::UnknownSubscription(name.into()))
    }
}
