//! An event store and event-sourcing library.

extern crate self as evercore;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
#[cfg(doc)]
#[path = "documentation.rs"]
pub mod _documentation;
mod aggregate;
#[cfg(feature = "conformance")]
pub mod conformance;
mod context;
pub mod engine;
mod error;
mod event;
mod hash;
mod id;
mod id_blocks;
mod loading;
mod log;
mod metadata;
mod natural_key;
mod options;
mod payload;
mod raw;
mod receipt;
mod registry;
mod retry;
mod snapshot;
mod state_aggregate;
mod store;
mod text;
mod time;
mod type_cache;
mod unique;
mod unit;

pub use self::{
    aggregate::{Aggregate, AggregateType, Apply, EventOf, EventType, ValidationError},
    context::{Context, ReadContext, ReadOnly, ReadWrite},
    error::{AggregateRef, Error, Result},
    event::{Event, EventInfo, RecordedEvent},
    id::{AggregateId, AggregateTypeId, EventTypeId, Position, Sequence, Untyped},
    log::{Log, LogFilter, LogPage},
    metadata::Metadata,
    natural_key::NaturalKey,
    options::EventOptions,
    payload::{Codec, DecodeError, Payload},
    raw::{History, RawEvent, RecordedSnapshot},
    receipt::{Committed, Receipt, WrittenAggregate},
    registry::{RegisteredTypes, Registry},
    retry::RetryPolicy,
    snapshot::{Fingerprint, SnapshotAggregate, SnapshotState, Snapshots},
    state_aggregate::{Replay, StateAggregate},
    store::EventStore,
    text::InvalidText,
    unit::{OnceUnit, Unit},
};
#[cfg(feature = "derive")]
pub use evercore_derive::{Aggregate, event, registry, state_event};
