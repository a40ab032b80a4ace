//! The ways in which applications handle batches.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use futures_util::FutureExt as _;

use super::{
    Batch, Decoder, Handler, HandlerError,
    delivery::{Cursor, Deliver, Failure},
    owner::Step,
    progress::Progress,
};
use crate::RecordedEvent;

/// A closure.
pub(super) struct Closure<F>(pub(super) F);

impl<T, F, Fut> Deliver<T> for Closure<F>
where
    F: FnMut(Batch<T>) -> Fut,
    Fut: Future<Output = Result<(), HandlerError>>,
{
    async fn deliver(&mut self, batch: Batch<T>, _: &Step, _: &mut Progress) -> Result<Cursor, Failure> {
        caught(async { (self.0)(batch).await }).await?;
        Ok(Cursor::Stays)
    }
}

/// A handler with a state of its own.
pub(super) struct ByHandler<H>(pub(super) H);

impl<T, H: Handler<T>> Deliver<T> for ByHandler<H> {
    async fn deliver(&mut self, batch: Batch<T>, _: &Step, _: &mut Progress) -> Result<Cursor, Failure> {
        caught(async { self.0.handle(batch).await }).await?;
        Ok(Cursor::Stays)
    }
}

/// Makes an error of a panic.
pub(super) async fn caught<T>(work: impl Future<Output = Result<T, HandlerError>>) -> Result<T, Failure> {
    // What a panic leaves half done is the handler's own; it is told that the batch comes again.
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|panic| Err(message("handler", &*panic).into())).map_err(Failure::Handler)
}

/// Decodes an event. What the application says of its types is code of its own, and may panic too.
pub(super) fn decoded<D: Decoder>(event: RecordedEvent) -> Result<D::Item, HandlerError> {
    let done = catch_unwind(AssertUnwindSafe(|| D::decode(event)));
    Ok(done.map_err(|panic| message("decoder", &*panic))??)
}

fn message(who: &str, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the {who} panicked: {}", text.unwrap_or("(no text)"))
}
