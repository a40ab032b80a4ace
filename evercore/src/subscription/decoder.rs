//! In which form events are delivered.

use std::{fmt, marker::PhantomData};

use super::Decoded;
use crate::{RecordedEvent, Registry, Result};

/// In which form a subscription delivers events: [`Raw`] or [`Typed`].
pub trait Decoder: sealed::Sealed + 'static {
    /// What a [`Batch`](super::Batch) holds.
    type Item: Send;

    #[doc(hidden)]
    fn decode(event: RecordedEvent) -> Result<Self::Item>;
}

/// As they are stored: [`RecordedEvent`].
#[derive(Debug, Clone, Copy)]
pub enum Raw {}

/// Decoded by an aggregate or a registry `R`: [`Decoded<R::Event>`](Decoded).
pub struct Typed<R>(PhantomData<fn() -> R>);

impl<R> fmt::Debug for Typed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed")
    }
}

impl Decoder for Raw {
    type Item = RecordedEvent;

    fn decode(event: RecordedEvent) -> Result<RecordedEvent> {
        Ok(event)
    }
}

impl<R: Registry> Decoder for Typed<R> {
    type Item = Decoded<R::Event>;

    fn decode(recorded: RecordedEvent) -> Result<Self::Item> {
        Ok(Decoded { event: recorded.decode::<R>()?, recorded })
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Raw {}
    impl<R> Sealed for super::Typed<R> {}
}
