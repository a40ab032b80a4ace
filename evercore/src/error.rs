//! Everything that can go wrong, and every message of the crate.

use std::{convert::Infallible, error::Error as StdError, fmt, time::Duration};

use crate::{
    AggregateId, DecodeError, EncodeError, InvalidText, NaturalKey, Position, Sequence, ValidationError,
    engine::{EngineError, EngineErrorKind, Fenced},
};

/// The result of most operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, as far as a caller acts on it.
///
/// Each message says what and where; [`source`](StdError::source) says why. To show all of it, follow the
/// sources, or let a crate like `anyhow` do it:
///
/// ```
/// fn print(error: &dyn std::error::Error) {
///     let causes = std::iter::successors(error.source(), |cause| cause.source());
///     eprintln!("{error}{}", causes.map(|cause| format!(": {cause}")).collect::<String>());
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else changed the aggregate since it was loaded. Load again and decide again; a unit of work
    /// with a [`RetryPolicy`](crate::RetryPolicy) does that by itself.
    #[error("{aggregate} was changed meanwhile: expected at {expected}, it is at {}", Found(*actual))]
    Conflict {
        /// The aggregate.
        aggregate: AggregateRef,
        /// The sequence on which the changes were based.
        expected: Sequence,
        /// The sequence that it has; `None` when the engine could not say. Equal to the expected one when
        /// only the natural key was changed.
        actual: Option<Sequence>,
    },
    /// Another aggregate of this type has this natural key.
    #[error("there is already a {aggregate_type} with the key {key:?}")]
    DuplicateKey {
        /// The aggregate type.
        aggregate_type: &'static str,
        /// The key.
        key: NaturalKey,
        /// Whether the aggregate came from `load_or_create`: running the unit of work again then loads it.
        load_or_create: bool,
    },
    /// The copy is behind what this unit of work already did to the aggregate. Use the copy that the last
    /// event was applied to, or load it again.
    #[error("this copy of {aggregate} is at {copy}, the unit of work has it at {current}")]
    StaleCopy {
        /// The aggregate.
        aggregate: AggregateRef,
        /// The sequence of the copy.
        copy: Sequence,
        /// The sequence within the unit of work. Equal to that of the copy when only the key was changed.
        current: Sequence,
    },
    /// The copy contains events of a unit of work that was dropped, failed, or is still open. Load it again.
    #[error("this copy of {0} contains events that were not committed")]
    Uncommitted(AggregateRef),
    /// There is no such aggregate.
    #[error("there is no {0}")]
    NotFound(AggregateRef),
    /// The aggregate is of another type, or the unit of work has changed it as another Rust type.
    #[error("aggregate {id} is of the type {actual}, not {expected}")]
    WrongType {
        /// The aggregate.
        id: AggregateId,
        /// The type that was asked for.
        expected: &'static str,
        /// The type that it has.
        actual: String,
    },
    /// A key, name or reference that no store can keep.
    #[error(transparent)]
    InvalidText(#[from] InvalidText),
    /// The state after the event is not valid; aggregate and unit of work are as they were before.
    #[error("{event_type} would make {aggregate} invalid")]
    Invalid {
        /// The aggregate.
        aggregate: AggregateRef,
        /// The event.
        event_type: &'static str,
        /// What the `validate` function says.
        source: ValidationError,
    },
    /// An event is stored under a name that the aggregate or registry does not list.
    #[error(
        "event {sequence} of {aggregate} is a {event_type:?}, which the aggregate or registry that decodes it does not list"
    )]
    UnknownEventType {
        /// The aggregate.
        aggregate: AggregateRef,
        /// The event's place within it.
        sequence: Sequence,
        /// The stored name.
        event_type: String,
    },
    /// A stored event does not have the shape of its type.
    #[error("event {sequence} of {aggregate}, a {event_type:?}, cannot be decoded")]
    Decode {
        /// The aggregate.
        aggregate: AggregateRef,
        /// The event's place within it.
        sequence: Sequence,
        /// The stored name of its type.
        event_type: String,
        /// What is wrong.
        source: DecodeError,
    },
    /// An event or state cannot be written in its codec, or an event not read back from it.
    #[error("{what} of {aggregate} cannot be encoded")]
    Encode {
        /// The aggregate.
        aggregate: AggregateRef,
        /// The event type, or the state.
        what: &'static str,
        /// What is wrong.
        source: EncodeError,
    },
    /// Stored data contradicts itself.
    #[error("what is stored of {aggregate} is damaged: {problem}")]
    Damaged {
        /// The aggregate.
        aggregate: AggregateRef,
        /// What is wrong.
        problem: String,
    },
    /// The idempotency key belongs to an earlier commit, which did not write this aggregate. Use another key.
    #[error("the idempotency key {key:?} belongs to an earlier commit, which did not write {aggregate}")]
    KeyReused {
        /// The key.
        key: String,
        /// An aggregate that would be written now and was not then.
        aggregate: AggregateRef,
    },
    /// The commit happened as a whole, or not at all. With an idempotency key, committing again finds out
    /// which; without one, load and look.
    #[error("it is not known whether the commit of {0} happened", List(aggregates))]
    OutcomeUnknown {
        /// The aggregates that it was to write.
        aggregates: Vec<AggregateRef>,
        /// What happened instead of an answer.
        source: EngineError,
    },
    /// The unit of work has ended: it was committed, its commit failed, or an `apply` panicked. Begin another
    /// one.
    #[error("this unit of work has ended by a commit, which may have failed; begin another one")]
    ContextClosed,
    /// The store runs on another engine, or another database, than the one that was asked for.
    #[error("the unit of work belongs to another store or engine ({engine})")]
    WrongEngine {
        /// The engine of the store.
        engine: &'static str,
    },
    /// Somebody else owns the subscription. To wait for one's turn there is
    /// [`standby`](crate::Subscription::standby).
    #[error("the subscription {name:?} is owned by {owner} for another {remaining:?}")]
    AlreadyOwned {
        /// The subscription.
        name: Box<str>,
        /// Who owns it.
        owner: Box<str>,
        /// How long, unless the lease is renewed.
        remaining: Duration,
    },
    /// The subscription was taken away from its owner, who has written nothing since.
    #[error("the subscription {name:?} was lost: {reason}")]
    Fenced {
        /// The subscription.
        name: Box<str>,
        /// What became of it.
        reason: Fenced,
    },
    /// The subscription is stored with another filter. Give it the old one, or say
    /// [`redefine`](crate::Subscription::redefine) or [`reset`](crate::Subscription::reset).
    #[error("the subscription {name:?} is for {stored}, not for {wanted} (see `redefine` and `reset`)")]
    SubscriptionMismatch {
        /// The subscription.
        name: Box<str>,
        /// The filter that is stored.
        stored: Box<str>,
        /// The filter that was asked for.
        wanted: Box<str>,
    },
    /// The subscription is paused until somebody resumes it.
    #[error("the subscription {0:?} is paused")]
    SubscriptionPaused(Box<str>),
    /// There is no subscription of this name.
    #[error("there is no subscription {0:?}")]
    UnknownSubscription(Box<str>),
    /// An event could not be handled, or not be decoded, however often it was delivered. The subscription stays
    /// before it, and tries it again when it is run again.
    #[error("the subscription {name:?} cannot handle the event at position {position} ({attempts} attempts)")]
    SubscriptionFailed {
        /// The subscription.
        name: Box<str>,
        /// The event.
        position: Position,
        /// How often it was delivered, with others and alone.
        attempts: u32,
        /// What the handler, or the decoder, says.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The subscription did not come so far in the time allowed.
    #[error("the subscription {name:?} did not reach position {position} in time, it is at {cursor}")]
    WaitTimedOut {
        /// The subscription.
        name: Box<str>,
        /// Where it should come to.
        position: Position,
        /// How far it has come.
        cursor: Position,
    },
    /// The handler holds the only writer of the store, for which this would have to wait. Within the transaction
    /// of a handler use `commit_in`.
    #[error("cannot {action} while the handler's own transaction holds the only writer of the store")]
    WaitsForItself {
        /// What was to be done.
        action: &'static str,
    },
    /// Events that were read from the log are gone, or others are in their places, as after a restore or a failover to
    /// a server that was behind. The source names them. What was made of such events is ahead of the log, so
    /// nothing more is read: bring that back to the log, begin again before the events that were lost (subscriptions
    /// by [`reset`](crate::Subscription::reset)), and open the store anew.
    #[error("cannot {action}: the log is not the one that was read before")]
    LogRewound {
        /// What was being done.
        action: String,
        /// What was read, and what is there now.
        source: EngineError,
    },
    /// The engine failed.
    #[error("cannot {action}")]
    Engine {
        /// What was being done, and to which aggregate.
        action: String,
        /// What failed.
        source: EngineError,
    },
}

impl Error {
    /// Whether somebody else was faster: doing the same again from the start may succeed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::DuplicateKey { load_or_create: true, .. })
    }

    /// Whether the aggregate does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    /// Whether the engine could not do it at this moment, did nothing, and may be asked again.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Engine { source, .. } if source.is_temporary())
    }

    pub(crate) fn engine(action: impl fmt::Display) -> impl FnOnce(EngineError) -> Self {
        move |source| Self::of_engine(action.to_string(), source)
    }

    fn of_engine(action: String, source: EngineError) -> Self {
        match source.kind() {
            EngineErrorKind::LogRewound => Self::LogRewound { action, source },
            _ => Self::Engine { action, source },
        }
    }

    pub(crate) fn unreadable_receipt(engine: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |error| {
            let kind = EngineErrorKind::Corrupt;
            EngineError::new(engine, "read the receipt of an idempotency key", kind, error).into()
        }
    }

    pub(crate) fn unknown_event_type(
        aggregate_type: &str,
        id: AggregateId,
        sequence: Sequence,
        event_type: &str,
    ) -> Self {
        let aggregate = AggregateRef::new(aggregate_type, id);
        Self::UnknownEventType { aggregate, sequence, event_type: event_type.to_owned() }
    }

    pub(crate) fn decode(
        aggregate_type: &str,
        id: AggregateId,
        sequence: Sequence,
        event_type: &str,
        source: DecodeError,
    ) -> Self {
        let aggregate = AggregateRef::new(aggregate_type, id);
        Self::Decode { aggregate, sequence, event_type: event_type.to_owned(), source }
    }
}

impl From<EngineError> for Error {
    /// For calls to an engine itself, which have no action of the store around them.
    fn from(source: EngineError) -> Self {
        Self::of_engine(source.operation().to_owned(), source)
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Names an aggregate in errors: its type, with its id or key. `Debug` is the same text as `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct AggregateRef(Box<(String, AggregateName)>);

#[derive(Clone, PartialEq, Eq)]
enum AggregateName {
    Id(AggregateId),
    Key(NaturalKey),
}

impl AggregateRef {
    pub(crate) fn new<A>(aggregate_type: &str, id: AggregateId<A>) -> Self {
        Self(Box::new((aggregate_type.to_owned(), AggregateName::Id(id.untyped()))))
    }

    pub(crate) fn with_key(aggregate_type: &str, key: &NaturalKey) -> Self {
        Self(Box::new((aggregate_type.to_owned(), AggregateName::Key(key.clone()))))
    }

    /// The name of its type.
    #[must_use]
    pub fn aggregate_type(&self) -> &str {
        &self.0.0
    }

    /// Its id, unless it was only known by key.
    #[must_use]
    pub fn id(&self) -> Option<AggregateId> {
        match &self.0.1 {
            AggregateName::Id(id) => Some(*id),
            AggregateName::Key(_) => None,
        }
    }

    /// Its natural key, when it was only known by that.
    #[must_use]
    pub fn key(&self) -> Option<&NaturalKey> {
        match &self.0.1 {
            AggregateName::Id(_) => None,
            AggregateName::Key(key) => Some(key),
        }
    }
}

impl fmt::Display for AggregateRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.1 {
            AggregateName::Id(id) => write!(f, "{} {id}", self.aggregate_type()),
            AggregateName::Key(key) => write!(f, "{} with the key {key:?}", self.aggregate_type()),
        }
    }
}

impl fmt::Debug for AggregateRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An actual sequence in a message.
struct Found(Option<Sequence>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(sequence) => sequence.fmt(f),
            None => f.write_str("an unknown sequence"),
        }
    }
}

/// The aggregates of a commit in a message.
struct List<'a>(&'a [AggregateRef]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("nothing"),
            [one] => one.fmt(f),
            [first, rest @ ..] => write!(f, "{first} and {} more", rest.len()),
        }
    }
}

const _: () = assert!(size_of::<Error>() <= 64, "errors travel through every `?`: keep them small");
const _: fn() = || {
    fn sendable<T: StdError + Send + Sync + 'static>() {}
    sendable::<Error>();
};
