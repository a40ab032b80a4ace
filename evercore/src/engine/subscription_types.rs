//! The values of the subscription group of the contract.

use std::{fmt, time::Duration};

use super::{EngineError, Timestamp};
use crate::{AggregateId, Position, Sequence, engine::FencingToken};

/// Tells an event from every other one that could stand at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventIdentity {
    /// Its place in the log.
    pub position: Position,
    /// The aggregate to which it happened.
    pub aggregate_id: AggregateId,
    /// Its place within the aggregate.
    pub sequence: Sequence,
    /// When it was stored: a server that has lost events may count the same way again.
    pub recorded_at: Timestamp,
}

/// A subscription to define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSubscription {
    /// Its name, unique within the store, 1 to 255 bytes.
    pub name: String,
    /// Stored and handed back, not looked at.
    pub filter: String,
    /// Where it starts: the first event that is delivered comes after this position.
    pub cursor: Position,
}

/// A subscription as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSubscription {
    /// Its name.
    pub name: String,
    /// What was given when it was defined, or defined anew.
    pub filter: String,
    /// Everything up to here was considered.
    pub cursor: Position,
    /// The last event that was delivered, as the checkpoints told.
    pub anchor: Option<EventIdentity>,
    /// Whether nobody may own it for now.
    pub paused: bool,
    /// Why its last owner gave up.
    pub failure: Option<String>,
    /// The token that was drawn last.
    pub token: FencingToken,
    /// Who owns it; also one whose lease has expired, until somebody else claims it.
    pub owner: Option<Owner>,
    /// When it was defined.
    pub defined_at: Timestamp,
    /// When its cursor moved last, or was set.
    pub moved_at: Timestamp,
}

/// Who owns a subscription, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// What was given with the claim.
    pub name: String,
    /// When the lease expires unless it is renewed, by the store's clock.
    pub expires_at: Timestamp,
}

/// Subscriptions, and the time by the store's clock when they were looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionList {
    /// The time by which leases are judged.
    pub now: Timestamp,
    /// In the order of their names, compared byte by byte.
    pub subscriptions: Vec<StoredSubscription>,
}

/// How a claim ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The caller owns the subscription, whose token is the one to prove it with.
    Claimed(StoredSubscription),
    /// Somebody else does.
    Held {
        /// Who.
        owner: String,
        /// How long the lease lasts unless it is renewed.
        remaining: Duration,
    },
    /// It is paused.
    Paused,
    /// There is no such subscription.
    Unknown,
}

/// A lease to renew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The subscription.
    pub name: String,
    /// The token of its owner.
    pub token: FencingToken,
    /// How long the lease lasts from now.
    pub lease: Duration,
}

/// How far an owner has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The subscription.
    pub name: String,
    /// The token of its owner.
    pub token: FencingToken,
    /// Where the cursor must be before.
    pub from: Position,
    /// Where it is after; not before `from`.
    pub to: Position,
    /// The last event that was delivered; `None` when none was since `from`.
    pub anchor: Option<EventIdentity>,
    /// Events that were skipped because they could not be handled.
    pub failed: Vec<NewFailedDelivery>,
}

/// An event that could not be handled, to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFailedDelivery {
    /// The event.
    pub position: Position,
    /// How often it was delivered.
    pub attempts: u32,
    /// What the last attempt said.
    pub error: String,
}

/// An event that could not be handled, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFailedDelivery {
    /// The event.
    pub position: Position,
    /// How often it was delivered.
    pub attempts: u32,
    /// What the last attempt said.
    pub error: String,
    /// When it was recorded, by the store's clock.
    pub failed_at: Timestamp,
}

/// A change to a subscription itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionChange {
    /// Nobody may own it until it is resumed.
    Pause,
    /// It may be owned again.
    Resume,
    /// It gets another filter; its cursor stays.
    Redefine {
        /// The new filter.
        filter: String,
    },
    /// Its cursor is set, forwards or backwards, and its failure forgotten.
    Reset {
        /// The new cursor.
        cursor: Position,
        /// The new filter; `None` keeps the old one.
        filter: Option<String>,
    },
    /// It is removed, with its failed deliveries.
    Delete,
}

/// What became of a subscription whose owner is it no more, as far as it can still be seen: how it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fenced {
    /// It was claimed again, by somebody else or under the same name, and has this owner now.
    TakenOver {
        /// Who.
        owner: String,
    },
    /// It is paused.
    Paused,
    /// It was reset, redefined, released, or deleted and defined again, and has no owner now.
    Changed,
    /// There is none of this name.
    Deleted,
}

impl Fenced {
    /// What the subscription as it is now says to somebody whose token is another one.
    #[must_use]
    pub fn of(stored: &StoredSubscription) -> Self {
        match (&stored.owner, stored.paused) {
            (_, true) => Self::Paused,
            (Some(owner), false) => Self::TakenOver { owner: owner.name.clone() },
            (None, false) => Self::Changed,
        }
    }
}

impl fmt::Display for Fenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenOver { owner } => write!(f, "it was taken over by {owner}"),
            Self::Paused => f.write_str("it was paused"),
            Self::Changed => f.write_str("it was reset, redefined or released"),
            Self::Deleted => f.write_str("it was deleted"),
        }
    }
}

/// Why an owner could not do something. Nothing was done.
#[derive(Debug)]
#[non_exhaustive]
pub enum OwnerError {
    /// It is the owner no more.
    Fenced(Fenced),
    /// The cursor is not where it was expected, but here.
    Moved(Position),
    /// The engine failed.
    Engine(EngineError),
}

impl From<EngineError> for OwnerError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}
