//! Places in the log that can be told from others with the same number.

use std::fmt;

use evercore::{AggregateId, Position, Sequence, engine::StoredEvent};

/// An event of the log, with what tells it from another one at its position: a server that has lost events draws
/// their positions again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) position: Position,
    pub(crate) aggregate: AggregateId,
    pub(crate) sequence: Sequence,
}

impl Mark {
    /// Before the first event.
    pub(crate) const START: Self =
        Self { position: Position::START, aggregate: AggregateId::new(0), sequence: Sequence::NONE };

    pub(crate) fn of(event: &StoredEvent) -> Self {
        Self { position: event.position, aggregate: event.aggregate_id, sequence: event.sequence }
    }

    /// The one that is further on.
    pub(crate) fn max(self, other: Self) -> Self {
        match other.position > self.position {
            true => other,
            false => self,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} of aggregate {}", self.sequence, self.aggregate)
    }
}
