//! What generated code may name. Not part of the public API: it changes without notice.

use std::fmt;

pub use serde;

use crate::{
    Aggregate, Codec, DecodeError, Event, EventInfo, EventOf, EventType, Payload, RecordedEvent, Registry,
    Result, UpcastError, ValidationError, codec,
};
pub use crate::{
    field::{Done, ExtendBy, Push},
    unique::{check_event, check_ignored, check_part, check_upcast},
    upcast::{
        Ancestor, AncestorOf, Depth, First, Left, Line, UpcastFrom, ancestor, ancestor_named, ancestors,
    },
};

// The bounds below are `EventOf` even where `Event` would do: a listed type that is not an event is then one
// error, at the implementation of `EventOf`.

/// Describes a listed event.
#[must_use]
pub const fn event_type<A, E: EventOf<A>>() -> EventType {
    EventType::of::<E>()
}

/// Decodes a listed event into the enum of its aggregate.
pub fn decode<A: Aggregate<Event: From<E>>, E: EventOf<A>>(
    event_type: &str,
    payload: &Payload,
) -> Result<A::Event, DecodeError> {
    E::decode_stored(event_type, payload).map(Into::into)
}

/// Which of the direct older forms of an event is stored under this name, or has an older form that is.
#[must_use]
pub fn ancestor_index<E: Event>(event_type: &str) -> Option<usize> {
    if event_type == E::NAME {
        return None;
    }
    E::ANCESTORS.iter().position(|ancestor| ancestor.is_named(event_type))
}

/// Decodes an older form and upcasts it by `From`.
pub fn upcast<Old: AncestorOf<New>, New: UpcastFrom<Old>>(
    event_type: &str,
    payload: &Payload,
) -> Result<New, DecodeError> {
    Old::decode_stored(event_type, payload).map(New::upcast_from)
}

/// Decodes an older form and upcasts it by a function.
pub fn upcast_with<Old: AncestorOf<New>, New: Event, E: Into<UpcastError>>(
    event_type: &str,
    payload: &Payload,
    upcast: impl FnOnce(Old) -> Result<New, E>,
) -> Result<New, DecodeError> {
    let old = Old::decode_stored(event_type, payload)?;
    upcast(old).map_err(|error| DecodeError::Upcast(error.into()))
}

/// Makes an event by a function of what is stored, which is given as JSON, whatever its codec.
pub fn upcast_json<New: Event, E: Into<UpcastError>>(
    payload: &Payload,
    upcast: impl FnOnce(serde_json::Value) -> Result<New, E>,
) -> Result<New, DecodeError> {
    upcast(payload.to_json_value()?).map_err(|error| DecodeError::Upcast(error.into()))
}

/// Copies a listed event into the enum of its aggregate.
pub fn clone<A: Aggregate<Event: From<E>>, E: EventOf<A>>(event: &E) -> A::Event {
    event.clone().into()
}

/// Shows a variant of the enum of an aggregate.
pub fn debug<A, E: EventOf<A>>(variant: &str, event: &E, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_tuple(variant).field(event).finish()
}

/// Changes the state as a listed event says.
pub fn apply<A, E: EventOf<A>>(state: &mut A, event: &E, info: &EventInfo) {
    event.apply_to(state, info);
}

/// Decodes an event if it is one of those that it knows.
pub type Decoder<T> = fn(&RecordedEvent) -> Result<Option<T>>;

/// Decodes an event with the first of these decoders that knows it.
pub fn decode_first<T>(event: &RecordedEvent, decoders: &[Decoder<T>]) -> Result<Option<T>> {
    decoders.iter().find_map(|decode| decode(event).transpose()).transpose()
}

/// Decodes an event of one part of a registry into the enum of the whole.
pub fn decode_part<R: Registry, T>(
    event: &RecordedEvent,
    variant: impl FnOnce(R::Event) -> T,
) -> Result<Option<T>> {
    Ok(R::decode(event)?.map(variant))
}

/// Adds a copy of this value to a collection of a state.
///
/// The value comes first here and below, so that rustc knows its type when it speaks of the collection.
pub fn push<V: Clone, C: Push<V>>(value: &V, collection: &mut C) {
    collection.push(value.clone());
}

/// Adds copies of these values to a collection of a state.
pub fn extend<V: Clone, C: ExtendBy<V>>(values: &V, collection: &mut C) {
    collection.extend_by(values.clone());
}

/// Compiles when a function that brought a field into a state has returned nothing.
pub fn done<R: Done>(_: R) {}

/// Compiles when the codec can be written.
pub const fn check_codec(codec: Codec) {
    codec::check(codec);
}

/// Compiles when the aggregate lists the event.
pub const fn check_listed<A, E: EventOf<A>>() {}

/// A state that can be tried out before it is changed.
#[diagnostic::on_unimplemented(
    message = "`validate` needs `Clone` on `{Self}`",
    label = "is not `Clone`",
    note = "an event is tried on a copy of the state: add `#[derive(Clone)]`"
)]
pub trait ValidatedState: Clone {}

#[diagnostic::do_not_recommend]
impl<A: Clone> ValidatedState for A {}

/// Makes a change on a copy of the state, and keeps it when `validate` accepts the result.
pub fn change_validated<A: ValidatedState, E: Into<ValidationError>>(
    state: &mut A,
    change: impl FnOnce(&mut A),
    validate: impl FnOnce(&A) -> Result<(), E>,
) -> Result<(), ValidationError> {
    let mut next = state.clone();
    change(&mut next);
    validate(&next).map_err(Into::into)?;
    *state = next;
    Ok(())
}
