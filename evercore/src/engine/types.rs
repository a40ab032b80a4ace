//! The values that engines receive and return.

use std::sync::Arc;

use crate::{
    AggregateId, AggregateTypeId, EventTypeId, Fingerprint, NaturalKey, Payload, Position, Sequence,
    engine::{EventIdentity, Timestamp},
};

/// Names of types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypeNames {
    /// Names of aggregate types, each once.
    pub aggregates: Vec<String>,
    /// Names of event types, each once.
    pub events: Vec<String>,
}

/// All types that a store knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypeCatalog {
    /// The aggregate types.
    pub aggregates: Vec<(AggregateTypeId, String)>,
    /// The event types.
    pub events: Vec<(EventTypeId, String)>,
}

/// Ids that nobody else gets: `first`, `first + 1`, … `count` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdBlock {
    /// The first id.
    pub first: AggregateId,
    /// How many ids there are.
    pub count: u32,
}

/// What one unit of work writes, all or nothing.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The key under which these changes are made only once.
    pub idempotency: Option<Idempotency>,
    /// Every aggregate that is created, changed or required, each once, in the order of their ids.
    pub aggregates: Vec<AggregateChange>,
    /// The new events, in the order in which they were applied. Those of one aggregate have the sequences
    /// `expected + 1`, `expected + 2` … `version`.
    pub events: Vec<NewEvent>,
    /// The new snapshots, at most one for each aggregate.
    pub snapshots: Vec<NewSnapshot>,
}

impl Changes {
    /// Whether there is nothing to write, to check or to claim.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.idempotency.is_none() && self.aggregates.is_empty()
    }
}

/// Makes a commit happen once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// 1 to 255 bytes.
    pub key: String,
    /// Stored and handed back, not looked at.
    pub receipt: String,
}

/// What happens to an aggregate, or must not have happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateChange {
    /// The aggregate.
    pub id: AggregateId,
    /// Its type.
    pub type_id: AggregateTypeId,
    /// What the changes are based on.
    pub expected: Expected,
    /// The sequence of its last event after the changes. Equal to the expected one when it gets no events.
    pub version: Sequence,
    /// What happens to its natural key.
    pub key: KeyChange,
}

/// The aggregate on which changes are based.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It does not exist.
    New,
    /// It exists, and this is the sequence of its last event.
    At(Sequence),
}

/// What happens to a natural key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// It stays what it is; a new aggregate has none.
    Keep,
    /// A new aggregate, or one whose key is `from`, gets the key `to`. Both may be the same: then it is only
    /// checked.
    Set {
        /// The key that it must have before.
        from: Option<NaturalKey>,
        /// The key that it has after.
        to: NaturalKey,
    },
}

/// An event to write.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The aggregate to which it happened: one of [`Changes::aggregates`].
    pub aggregate_id: AggregateId,
    /// The type of the aggregate.
    pub aggregate_type: AggregateTypeId,
    /// Its own type.
    pub event_type: EventTypeId,
    /// Its place within the aggregate.
    pub sequence: Sequence,
    /// When it happened, as the application says.
    pub time: Timestamp,
    /// Free text.
    pub reference: Option<String>,
    /// A JSON object.
    pub metadata: Option<String>,
    /// The encoded event.
    pub payload: Payload,
}

/// A state to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSnapshot {
    /// The aggregate: one of [`Changes::aggregates`].
    pub aggregate_id: AggregateId,
    /// The sequence of the last event that went into the state.
    pub sequence: Sequence,
    /// The shape of the state.
    pub fingerprint: Fingerprint,
    /// The encoded state.
    pub payload: Payload,
}

/// How a commit ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The changes are written.
    Committed {
        /// The position of the last of the new events; `None` when there were none.
        last_position: Option<Position>,
        /// When, by the store's clock.
        committed_at: Timestamp,
    },
    /// The idempotency key was used before; nothing was written now.
    Repeated(PastCommit),
}

/// A commit that was made under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCommit {
    /// Its [`Idempotency::receipt`].
    pub receipt: String,
    /// The position of the last of its events; `None` when there were none.
    pub last_position: Option<Position>,
    /// When it was made, by the store's clock.
    pub committed_at: Timestamp,
}

/// Which aggregate to load, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Which one.
    pub target: LoadTarget,
    /// Whether a snapshot is of use.
    pub snapshot: SnapshotUse,
    /// Only events after this one, and after the snapshot.
    pub after: Sequence,
    /// At most so many events; the rest is loaded by further calls.
    pub limit: u32,
}

/// Names an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadTarget {
    /// The one with this id, whatever its type.
    Id(AggregateId),
    /// The one of this type with this natural key.
    Key(AggregateTypeId, NaturalKey),
}

/// Which snapshot a load can start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotUse {
    /// None.
    Ignore,
    /// Any.
    Any,
    /// One with this fingerprint.
    Fitting(Fingerprint),
}

/// An aggregate as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedAggregate {
    /// Its id.
    pub id: AggregateId,
    /// Its type.
    pub type_id: AggregateTypeId,
    /// Its natural key.
    pub key: Option<NaturalKey>,
    /// The sequence of its last event.
    pub version: Sequence,
    /// Its snapshot.
    pub snapshot: LoadedSnapshot,
    /// The events after [`Load::after`] and after the snapshot, in order, at most [`Load::limit`].
    pub events: Vec<StoredEvent>,
}

/// What a load found of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub enum LoadedSnapshot {
    /// There is none, or none was asked for.
    None,
    /// There is one that does not fit; the events are those that a load without it returns.
    Misfit,
    /// There is one that can be used.
    Found(StoredSnapshot),
}

/// A stored state.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSnapshot {
    /// The sequence of the last event that went into the state.
    pub sequence: Sequence,
    /// The encoded state.
    pub payload: Payload,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its place in the log.
    pub position: Position,
    /// The aggregate to which it happened.
    pub aggregate_id: AggregateId,
    /// The type of the aggregate.
    pub aggregate_type: AggregateTypeId,
    /// Its own type.
    pub event_type: EventTypeId,
    /// Its place within the aggregate.
    pub sequence: Sequence,
    /// When it happened, as the application says.
    pub time: Timestamp,
    /// When it was stored, by the store's clock.
    pub recorded_at: Timestamp,
    /// Free text.
    pub reference: Option<String>,
    /// A JSON object.
    pub metadata: Option<String>,
    /// The encoded event.
    pub payload: Payload,
}

impl StoredEvent {
    /// What tells it from every other event.
    #[must_use]
    pub fn identity(&self) -> EventIdentity {
        let Self { position, aggregate_id, sequence, recorded_at, .. } = *self;
        EventIdentity { position, aggregate_id, sequence, recorded_at }
    }
}

/// Which events of the log are wanted: those that every given part allows. A list without types allows none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Events of aggregates of one of these types; `None` allows every type.
    pub aggregate_types: Option<Arc<[AggregateTypeId]>>,
    /// Events of one of these types; `None` allows every type.
    pub event_types: Option<Arc<[EventTypeId]>>,
    /// Events of this aggregate; `None` allows every aggregate.
    pub aggregate: Option<AggregateId>,
}

impl EventFilter {
    /// Whether the filter lets this event through.
    #[must_use]
    pub fn allows(&self, event: &StoredEvent) -> bool {
        self.aggregate_types.as_ref().is_none_or(|types| types.contains(&event.aggregate_type))
            && self.event_types.as_ref().is_none_or(|types| types.contains(&event.event_type))
            && self.aggregate.is_none_or(|aggregate| aggregate == event.aggregate_id)
    }
}

/// A page of the log to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRead {
    /// Which events.
    pub filter: EventFilter,
    /// Only events after this position.
    pub after: Position,
    /// At most so many events, at least 1.
    pub limit: u32,
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogPage {
    /// The events, in the order of their positions.
    pub events: Vec<StoredEvent>,
    /// Everything up to here was considered: the next page is the one after this position.
    pub end: Position,
}
