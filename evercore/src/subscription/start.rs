//! Where subscriptions start.

use chrono::{DateTime, Utc};

use crate::{EventStore, Position, Result};

/// Where a subscription starts. It is resolved once, when the subscription is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFrom {
    /// With the first event of the store.
    Beginning,
    /// With the first event that is committed from now on.
    End,
    /// With the first event after this position.
    After(Position),
    /// With the first event that was recorded at this time or later, by the store's clock. When there is none
    /// yet, it is the same as [`End`](Self::End).
    Since(DateTime<Utc>),
}

impl StartFrom {
    /// The position after which the subscription starts.
    pub(super) async fn resolve(self, store: &EventStore) -> Result<Position> {
        match self {
            Self::Beginning => Ok(Position::START),
            Self::End => store.head().await,
            Self::After(position) => Ok(position.max(Position::START)),
            Self::Since(time) => store.locate(time).await,
        }
    }
}
