//! The subscription group of the contract.

use std::{fmt, time::Duration};

use super::{
    Checkpoint, Claim, EngineError, Fenced, FencingToken, NewSubscription, OwnerError, Renewal,
    StoredFailedDelivery, StoredSubscription, SubscriptionChange, SubscriptionList,
};
use crate::Position;

/// Where durable subscriptions keep their cursors, and who owns them.
///
/// A subscription has at most one owner. Who claims it gets a [`FencingToken`] and a lease. When the lease has
/// expired somebody else may claim it; every claim, and every change from outside, draws a new token, and
/// with an older one nothing can be written any more. A token is current while the one who claimed with it is
/// the owner: a subscription without an owner has no current one. Leases are judged by the store's clock alone.
pub trait SubscriptionEngine: fmt::Debug + Send + Sync + 'static {
    /// Defines a subscription, unless there is one of this name, and returns what is stored.
    ///
    /// # Behavior
    ///
    /// - One that is there stays as it is, with its filter and cursor.
    /// - Of several callers at the same time one defines it, and all get the same.
    /// - A new one has no owner, is not paused and has no anchor, and its token is greater than all before.
    /// - Names differ when one byte differs.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to, unless the subscription is there already.
    ///
    /// # Cancel safety
    ///
    /// It is defined or not.
    fn define_subscription(
        &self,
        subscription: &NewSubscription,
    ) -> impl Future<Output = Result<StoredSubscription, EngineError>> + Send;

    /// Claims a subscription for an owner, for as long as the lease says.
    ///
    /// # Behavior
    ///
    /// - One without an owner, or whose lease has expired, is claimed; so is one that this owner holds already.
    /// - One that somebody else holds is [`Claim::Held`], a paused one [`Claim::Paused`].
    /// - Of several owners at the same time one gets it.
    /// - The token is greater than all that were drawn before, in the whole store, also after a restart and
    ///   when the subscription was deleted and defined again.
    /// - A claim forgets the failure of the owner before.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to.
    ///
    /// # Cancel safety
    ///
    /// It may be claimed; the same owner can claim it again.
    fn claim_subscription(
        &self,
        name: &str,
        owner: &str,
        lease: Duration,
    ) -> impl Future<Output = Result<Claim, EngineError>> + Send;

    /// Renews leases, one answer for each, in their order: `None` when it is renewed.
    ///
    /// # Behavior
    ///
    /// - A lease that has expired is renewed too, as long as nobody else claimed the subscription.
    /// - One that is lost does not keep the others from being renewed.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to.
    ///
    /// # Cancel safety
    ///
    /// Some may be renewed.
    fn renew_leases(
        &self,
        renewals: &[Renewal],
    ) -> impl Future<Output = Result<Vec<Option<Fenced>>, EngineError>> + Send;

    /// Moves the cursor, and records the events that were skipped.
    ///
    /// # Behavior
    ///
    /// - Both or nothing.
    /// - Only with the current token, whether or not the lease has expired: else [`OwnerError::Fenced`], wherever
    ///   the cursor is.
    /// - Only from where the cursor is: else [`OwnerError::Moved`]. So one that was in doubt can be made again.
    /// - Without an anchor the stored one stays.
    /// - A failed delivery that was recorded before is replaced.
    ///
    /// It need not wait until it survives a crash of the database. Such a crash undoes the last ones, in one piece each;
    /// the owner, if it still lives, finds the cursor further back, and moves it from there.
    ///
    /// # Errors
    ///
    /// As above. When the connection broke at the wrong moment, the checkpoint may have been made.
    ///
    /// # Cancel safety
    ///
    /// It is made as a whole or not at all.
    fn checkpoint(&self, checkpoint: &Checkpoint) -> impl Future<Output = Result<(), OwnerError>> + Send;

    /// Gives a subscription up, so that others can claim it at once; with a failure, if that is the reason.
    ///
    /// # Behavior
    ///
    /// - Only with the current token, whether or not the lease has expired; after it the token is worth nothing.
    ///
    /// # Errors
    ///
    /// [`OwnerError::Fenced`], and when the store cannot be written to.
    ///
    /// # Cancel safety
    ///
    /// It is given up or not.
    fn release_subscription(
        &self,
        name: &str,
        token: FencingToken,
        failure: Option<&str>,
    ) -> impl Future<Output = Result<(), OwnerError>> + Send;

    /// Changes a subscription itself, and returns how it is then, or how it was before it was deleted; `None`
    /// when there is none of this name, which a token makes an error.
    ///
    /// # Behavior
    ///
    /// - Without a token every change but [`SubscriptionChange::Resume`] draws a new one and takes the
    ///   subscription away from its owner.
    /// - With a token it is made by the owner, who stays it, and the token stays current: only with the current
    ///   one. An owner that pauses the subscription gives it up: one that is paused has no owner.
    /// - A reset sets the cursor, also backwards, and forgets the anchor and the failure; a pause stays, and so
    ///   do the failed deliveries.
    /// - Nothing else changes: another filter leaves cursor, anchor and failure as they are, and a resume does
    ///   nothing to one that is not paused.
    /// - A deleted subscription is gone with its failed deliveries.
    ///
    /// # Errors
    ///
    /// [`OwnerError::Fenced`] with a token that is not current, and when the store cannot be written to.
    ///
    /// # Cancel safety
    ///
    /// It is made or not.
    fn change_subscription(
        &self,
        name: &str,
        change: &SubscriptionChange,
        token: Option<FencingToken>,
    ) -> impl Future<Output = Result<Option<StoredSubscription>, OwnerError>> + Send;

    /// The subscription of this name, or all of them.
    ///
    /// # Behavior
    ///
    /// - They come in the order of their names.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    fn subscriptions(
        &self,
        name: Option<&str>,
    ) -> impl Future<Output = Result<SubscriptionList, EngineError>> + Send;

    /// The failed deliveries of a subscription, in the order of their positions: at most `limit` of those
    /// after `after`.
    ///
    /// # Behavior
    ///
    /// - A subscription that does not exist has none.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    fn failed_deliveries(
        &self,
        name: &str,
        after: Position,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<StoredFailedDelivery>, EngineError>> + Send;

    /// Forgets a failed delivery, and says whether there was one.
    ///
    /// # Behavior
    ///
    /// - Others stay.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to.
    ///
    /// # Cancel safety
    ///
    /// It is forgotten or not.
    fn drop_failed_delivery(
        &self,
        name: &str,
        position: Position,
    ) -> impl Future<Output = Result<bool, EngineError>> + Send;
}
