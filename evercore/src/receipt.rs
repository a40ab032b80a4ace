//! What a commit did.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    AggregateId, NaturalKey, Position, Sequence,
    engine::{PastCommit, Timestamp},
};

/// What a commit wrote, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) last_position: Option<Position>,
    pub(crate) committed_at: Timestamp,
    pub(crate) aggregates: Vec<WrittenAggregate>,
}

impl Receipt {
    /// The receipt of an earlier commit, as the engine kept it.
    pub(crate) fn of_past(past: &PastCommit) -> Result<Self, serde_json::Error> {
        let aggregates = serde_json::from_str(&past.receipt)?;
        Ok(Self { last_position: past.last_position, committed_at: past.committed_at, aggregates })
    }

    /// The position of the last event that was written; `None` when there were no events.
    #[must_use]
    pub fn last_position(&self) -> Option<Position> {
        self.last_position
    }

    /// When, by the store's clock; by that of this process when there was nothing to write.
    #[must_use]
    pub fn committed_at(&self) -> DateTime<Utc> {
        self.committed_at.into()
    }

    /// The aggregates that were created, got events or another key, in the order of their ids.
    #[must_use]
    pub fn aggregates(&self) -> &[WrittenAggregate] {
        &self.aggregates
    }
}

/// An aggregate as a commit left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WrittenAggregate {
    /// The name of its type.
    pub aggregate_type: String,
    /// Its id.
    pub id: AggregateId,
    /// Its natural key, as far as the unit of work knew: when it did not change the key, somebody else may have.
    pub key: Option<NaturalKey>,
    /// The sequence of its last event.
    pub sequence: Sequence,
}

/// What became of a unit of work that happens once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed<T> {
    /// It happened now. The value is that of the closure.
    Fresh(T, Receipt),
    /// It had happened before: nothing was written now, and this is the receipt of that time.
    Repeat(Receipt),
}

impl<T> Committed<T> {
    /// The receipt of the commit that happened, now or before.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        match self {
            Self::Fresh(_, receipt) | Self::Repeat(receipt) => receipt,
        }
    }

    /// Whether it had happened before.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        matches!(self, Self::Repeat(_))
    }
}
