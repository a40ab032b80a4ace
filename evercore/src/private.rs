//! What generated code may name. Not part of the public API: it changes without notice.

pub use serde;

use crate::{DecodeError, Event, Payload, ValidationError};

/// Decodes an event of a known type.
pub fn decode<E: Event>(payload: &Payload) -> Result<E, DecodeError> {
    payload.decode()
}

/// Makes a change on a copy of the state, and keeps it when `validate` accepts the result.
pub fn change_validated<A: Clone, E: Into<ValidationError>>(
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
