//! What becomes of the rows that the server sends.

use evercore::engine::StoredEvent;
use sqlx::postgres::PgRow;

use crate::{error::Problem, row};

/// Takes the rows of one answer, while the server is still at work on those that follow.
pub(crate) trait Answer: Default {
    fn add(&mut self, row: PgRow) -> Result<(), Problem>;

    /// The first row, which says where the answer comes from.
    fn first(&self) -> Option<&PgRow>;
}

/// The rows as they are.
impl Answer for Vec<PgRow> {
    fn add(&mut self, row: PgRow) -> Result<(), Problem> {
        self.push(row);
        Ok(())
    }

    fn first(&self) -> Option<&PgRow> {
        self.as_slice().first()
    }
}

/// A page of the log: a row that says what is true of the whole answer, and the events.
#[derive(Debug, Default)]
pub(crate) struct Page {
    first: Option<PgRow>,
    events: Vec<StoredEvent>,
}

impl Page {
    /// The events in their order: they come in it, but SQL does not promise it.
    pub(crate) fn events(mut self) -> Vec<StoredEvent> {
        self.events.sort_by_key(|event| event.position);
        self.events
    }
}

impl Answer for Page {
    fn add(&mut self, row: PgRow) -> Result<(), Problem> {
        match row::event(&row)? {
            Some(event) => self.events.push(event),
            None => self.first = Some(row),
        }
        Ok(())
    }

    fn first(&self) -> Option<&PgRow> {
        self.first.as_ref()
    }
}
