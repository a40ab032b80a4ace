//! Events and histories that are not decoded.

use serde::Serialize;

use crate::{Codec, EncodeError, EventOptions, NaturalKey, Payload, RecordedEvent, Sequence};

/// An event that is already encoded, for [`Context::publish`](crate::Context::publish): imports, repairs,
/// events that come from elsewhere.
#[derive(Debug, Clone)]
pub struct RawEvent {
    pub(crate) event_type: String,
    pub(crate) payload: Payload,
    pub(crate) options: EventOptions,
}

impl RawEvent {
    /// An event of the type with this name.
    #[must_use]
    pub fn new(event_type: impl Into<String>, payload: Payload) -> Self {
        Self { event_type: event_type.into(), payload, options: EventOptions::new() }
    }

    /// An event whose payload is this JSON text.
    #[must_use]
    pub fn from_json(event_type: impl Into<String>, json: impl Into<String>) -> Self {
        Self::new(event_type, Payload::new(Codec::JSON, json.into().into_bytes()))
    }

    /// An event whose payload is this value, as JSON.
    ///
    /// # Errors
    ///
    /// When its `Serialize` fails.
    pub fn encode<T: Serialize + ?Sized>(
        event_type: impl Into<String>,
        value: &T,
    ) -> Result<Self, EncodeError> {
        Ok(Self::new(event_type, Payload::encode(value)?))
    }

    /// Time, reference and metadata.
    #[must_use]
    pub fn with_options(mut self, options: EventOptions) -> Self {
        self.options = options;
        self
    }
}

/// All that is stored of an aggregate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct History {
    /// The stored name of its type.
    pub aggregate_type: String,
    /// Its natural key.
    pub key: Option<NaturalKey>,
    /// The sequence of its last event.
    pub version: Sequence,
    /// Its snapshot, whatever the shape.
    pub snapshot: Option<RecordedSnapshot>,
    /// Its events, from the first.
    pub events: Vec<RecordedEvent>,
}

/// A stored state, still encoded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordedSnapshot {
    /// The sequence of the last event that went into it.
    pub sequence: Sequence,
    /// The encoded state.
    pub payload: Payload,
}
