//! Places in the log that can be told from others with the same number.

use std::fmt;

use evercore::{
    AggregateId, Position, Sequence,
    engine::{StoredEvent, Timestamp},
};

/// An event of the log, with what tells it from another one at its position. A server that has lost events draws
/// their positions again, and their aggregates and sequences may be the same again too: only the time is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) position: Position,
    pub(crate) aggregate: AggregateId,
    pub(crate) sequence: Sequence,
    /// There always is one where there is an event.
    pub(crate) recorded_at: Option<Timestamp>,
}

impl Mark {
    /// Before the first event.
    pub(crate) const START: Self = Self {
        position: Position::START,
        aggregate: AggregateId::new(0),
        sequence: Sequence::NONE,
        recorded_at: None,
    };

    pub(crate) fn of(event: &StoredEvent) -> Self {
        Self {
            position: event.position,
            aggregate: event.aggregate_id,
            sequence: event.sequence,
            recorded_at: Some(event.recorded_at),
        }
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
        write!(f, "event {} of aggregate {}", self.sequence, self.aggregate)?;
        match self.recorded_at {
            Some(time) => write!(f, ", recorded at {time}"),
            None => Ok(()),
        }
    }
}
