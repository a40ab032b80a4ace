//! An event store and event-sourcing library.

extern crate self as evercore;

#[cfg(doc)]
#[path = "documentation.rs"]
pub mod _documentation;
mod aggregate;
pub mod engine;
mod error;
mod event;
mod hash;
mod id;
mod metadata;
mod natural_key;
mod payload;
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod registry;
mod snapshot;
mod text;
mod time;

pub use self::{
    aggregate::{Aggregate, AggregateType, Apply, EventOf, EventType, ValidationError},
    error::{AggregateRef, Error, Result},
    event::{Event, EventInfo, RecordedEvent},
    id::{AggregateId, AggregateTypeId, EventTypeId, Position, Sequence, Untyped},
    metadata::Metadata,
    natural_key::NaturalKey,
    payload::{Codec, DecodeError, Payload},
    registry::{RegisteredTypes, Registry},
    snapshot::{Fingerprint, SnapshotAggregate, Snapshots},
    text::InvalidText,
};
#[cfg(feature = "derive")]
pub use evercore_derive::{Aggregate, event, registry, state_event};
