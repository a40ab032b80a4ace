//! What generated code may name. Not part of the public API: it changes without notice.

pub use serde;

pub use crate::unique::{check_event, check_part};
use crate::{Aggregate, DecodeError, EventOf, EventType, Payload, ValidationError};

// The bounds below are `EventOf` even where `Event` would do: a listed type that is not an event is then one
// error, at the implementation of `EventOf`.

/// Describes a listed event.
#[must_use]
pub const fn event_type<A: Aggregate, E: EventOf<A>>() -> EventType {
    EventType::of::<E>()
}

/// Decodes a listed event into the enum of its aggregate.
pub fn decode<A: Aggregate<Event: From<E>>, E: EventOf<A>>(
    payload: &Payload,
) -> Result<A::Event, DecodeError> {
    payload.decode::<E>().map(Into::into)
}

/// Compiles when the aggregate lists the event.
pub const fn check_listed<A: Aggregate, E: EventOf<A>>() {}

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
