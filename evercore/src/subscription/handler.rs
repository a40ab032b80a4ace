//! What handles the events of a subscription.

use std::{error::Error as StdError, fmt};

use super::Batch;

/// Why a handler could not handle a batch; made by `?` from any error, and by `.into()` from a text.
///
/// ```
/// use evercore::HandlerError;
///
/// fn parse(text: &str) -> Result<u32, HandlerError> {
///     if text.is_empty() {
///         return Err("there is nothing to parse".into());
///     }
///     Ok(text.parse()?)
/// }
/// assert_eq!(parse("").unwrap_err().to_string(), "there is nothing to parse");
/// ```
pub struct HandlerError(Box<dyn StdError + Send + Sync>);

impl HandlerError {
    /// The error that the handler met.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn StdError + Send + Sync> {
        self.0
    }
}

// It is no `std::error::Error` itself: else this would overlap with the conversion of a type into itself.
impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Handles the events of a subscription, with a state of its own.
///
/// Where a closure is enough there is `run`; this is for handlers that change their own fields.
///
/// ```
/// use evercore::{Batch, Handler, HandlerError, RecordedEvent};
///
/// #[derive(Default)]
/// struct Counter {
///     events: usize,
/// }
///
/// impl Handler<RecordedEvent> for Counter {
///     async fn handle(&mut self, batch: Batch<RecordedEvent>) -> Result<(), HandlerError> {
///         self.events += batch.len();
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle batches of `{T}`",
    label = "this is no `Handler<{T}>`",
    note = "`run_handler` takes a value that implements `Handler` for what the subscription delivers: `RecordedEvent`, or `Decoded` after `decode`",
    note = "for closures there is `run`"
)]
pub trait Handler<T> {
    /// Handles a batch. When it fails, or panics, the same events come again: alone, if they keep failing.
    ///
    /// # Errors
    ///
    /// Whatever keeps the handler from handling the batch.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the subscription is lost to another owner, or its `run` is dropped.
    fn handle(&mut self, batch: Batch<T>) -> impl Future<Output = Result<(), HandlerError>> + Send;
}
