//! What generated code may name. Not part of the public API: it changes without notice.

use std::fmt;

pub use serde;

pub use crate::unique::{check_event, check_part};
use crate::{
    Aggregate, DecodeError, EventInfo, EventOf, EventType, Payload, RecordedEvent, Registry, Result,
    ValidationError,
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
    payload: &Payload,
) -> Result<A::Event, DecodeError> {
    payload.decode::<E>().map(Into::into)
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
