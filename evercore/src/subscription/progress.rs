//! How far a subscription has come, and where that is kept.

use futures_util::future::{Either, pending};

use super::{
    delivery::with_causes,
    owner::{Owned, Step},
};
use crate::{Error, Position, Result};

/// How far a subscription has come, and where that is kept.
#[derive(Debug)]
pub(super) enum Progress {
    /// In the store.
    Durable(Owned),
    /// Nowhere, or where acknowledgements move it.
    Elsewhere { name: Box<str>, cursor: Position },
}

impl Progress {
    /// What it is called in errors and traces.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Durable(owned) => owned.name(),
            Self::Elsewhere { name, .. } => name,
        }
    }

    pub(super) fn cursor(&self) -> Position {
        match self {
            Self::Durable(owned) => owned.cursor(),
            Self::Elsewhere { cursor, .. } => *cursor,
        }
    }

    pub(super) async fn advance(&mut self, step: &Step) -> Result<()> {
        match self {
            Self::Durable(owned) => owned.advance(step).await?,
            Self::Elsewhere { cursor, .. } => *cursor = step.to,
        }
        Ok(())
    }

    /// Waits until the subscription belongs to somebody else.
    pub(super) fn lost(&self) -> impl Future<Output = Error> + Send + use<> {
        match self {
            Self::Durable(owned) => Either::Left(owned.lost()),
            Self::Elsewhere { .. } => Either::Right(pending()),
        }
    }

    /// Gives the subscription up in good order, because of an error if there is one.
    pub(super) async fn end(&self, error: Option<&Error>) {
        match (self, error) {
            (Self::Elsewhere { .. }, _) | (_, Some(Error::Fenced { .. })) => {}
            (Self::Durable(owned), error) => {
                owned.release(error.map(|error| with_causes(error)).as_deref()).await;
            }
        }
    }
}
