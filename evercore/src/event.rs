//! Events: what happened to an aggregate.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    AggregateId, Codec, DecodeError, Error, EventType, Metadata, Payload, Position, Registry, Result,
    Sequence, engine::Timestamp,
};

/// Something that happened to an aggregate; made from a plain struct by `#[event]` or `#[state_event]`.
///
/// Implemented by hand, `NAME` and `ALIASES` must stay what they were once events are stored.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "put `#[event]` or `#[state_event(…)]` on it, as its first attribute"
)]
pub trait Event: fmt::Debug + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name under which events of this type are stored.
    const NAME: &'static str;

    /// Names under which events of this type were stored in the past.
    const ALIASES: &'static [&'static str] = &[];

    /// How events of this type are written; those that are stored may be in any codec. By default this is JSON.
    const CODEC: Codec = Codec::JSON;

    /// Tells apart two types of one name; written by the macros.
    #[doc(hidden)]
    const ORIGIN: &'static str = "";

    /// How it is declared, as the text of a part of a [`Description`](crate::Description); written by the macros.
    #[doc(hidden)]
    const DECLARATION: &'static str = "";

    /// The older forms that are upcast; written by the macros.
    #[doc(hidden)]
    const ANCESTORS: &'static [EventType] = &[];

    /// Decodes what is stored under one of the names; written by the macros.
    #[doc(hidden)]
    fn decode_stored(event_type: &str, payload: &Payload) -> Result<Self, DecodeError> {
        let _ = event_type;
        payload.decode()
    }
}

/// What is known about an event besides what happened.
///
/// The times are in whole microseconds, on every engine, before and after they are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct EventInfo {
    pub(crate) sequence: Sequence,
    pub(crate) time: Timestamp,
    pub(crate) recorded_at: Option<Timestamp>,
    pub(crate) reference: Option<String>,
    pub(crate) metadata: Metadata,
}

impl EventInfo {
    /// The place of the event within its aggregate.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// When it happened, as the application says.
    #[must_use]
    pub fn time(&self) -> DateTime<Utc> {
        self.time.into()
    }

    /// When it was stored, by the store's clock; `None` while it is not stored yet.
    ///
    /// A state that depends on it differs between the moment of `apply` and a later load. For times that
    /// belong to the state there is [`time`](Self::time).
    #[must_use]
    pub fn recorded_at(&self) -> Option<DateTime<Utc>> {
        self.recorded_at.map(Into::into)
    }

    /// The free text that was given with the event.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// The facts that were given with the event.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// An event as it stands in the log, still encoded.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    pub(crate) position: Position,
    pub(crate) aggregate_type: Arc<str>,
    pub(crate) aggregate_id: AggregateId,
    pub(crate) event_type: Arc<str>,
    pub(crate) recorded_at: Timestamp,
    pub(crate) info: EventInfo,
    pub(crate) payload: Payload,
}

impl RecordedEvent {
    /// The place of the event in the log of the whole store.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The stored name of the type of its aggregate.
    #[must_use]
    pub fn aggregate_type(&self) -> &str {
        &self.aggregate_type
    }

    /// The aggregate to which it happened.
    #[must_use]
    pub fn aggregate_id(&self) -> AggregateId {
        self.aggregate_id
    }

    /// The stored name of its type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The place of the event within its aggregate.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.info.sequence
    }

    /// When it happened, as the application says.
    #[must_use]
    pub fn time(&self) -> DateTime<Utc> {
        self.info.time()
    }

    /// When it was stored, by the store's clock.
    #[must_use]
    pub fn recorded_at(&self) -> DateTime<Utc> {
        self.recorded_at.into()
    }

    /// The free text that was given with the event.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.info.reference()
    }

    /// The facts that were given with the event.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.info.metadata()
    }

    /// All that is known about the event besides what happened.
    #[must_use]
    pub fn info(&self) -> &EventInfo {
        &self.info
    }

    /// The encoded event.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Decodes the event as one of an aggregate (`UserEvent`) or of a registry (`DomainEvent`).
    ///
    /// An event of another aggregate is an error here, because a filter should have held it back; where others
    /// are to be passed over, [`R::decode(&event)`](Registry::decode) answers `None` for them. An older form is
    /// upcast. An event that its aggregate [ignores](macro@crate::Aggregate#events-that-are-of-no-interest-any-more)
    /// is the variant `Ignored`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownEventType`] when its aggregate type or event type is not one of `R`, and
    /// [`Error::Decode`] when its payload does not have the shape of its type, or cannot be upcast.
    pub fn decode<R: Registry>(&self) -> Result<R::Event> {
        R::decode(self)?.ok_or_else(|| self.unknown())
    }

    /// Decodes the event if it is an `E`, by name or alias, or an older form that is upcast to `E`.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] when its payload does not have the shape of its type, or cannot be upcast.
    pub fn decode_event<E: Event>(&self) -> Result<Option<E>> {
        if !const { EventType::of::<E>() }.is_named(&self.event_type) {
            return Ok(None);
        }
        E::decode_stored(&self.event_type, &self.payload).map(Some).map_err(|source| self.undecodable(source))
    }

    pub(crate) fn unknown(&self) -> Error {
        Error::unknown_event_type(&self.aggregate_type, self.aggregate_id, self.sequence(), &self.event_type)
    }

    pub(crate) fn undecodable(&self, source: DecodeError) -> Error {
        Error::decode(&self.aggregate_type, self.aggregate_id, self.sequence(), &self.event_type, source)
    }
}
