//! Where the events of a subscription come from.

use std::time::Duration;

use super::{
    ahead::Ahead,
    continuity::Continuity,
    tail::{Found, Seat},
};
use crate::{EventStore, LogFilter, Position, Result, engine::LogPage, filter::Selection};

/// Reads the log for one subscription: from the shared tail when it is near the head, else by itself.
#[derive(Debug)]
pub(super) struct Feed {
    selection: Selection,
    seat: Seat,
    ahead: Ahead,
    continuity: Option<Continuity>,
}

impl Feed {
    pub(super) fn new(store: &EventStore, filter: LogFilter, poll_interval: Duration) -> Self {
        let continuity = filter.events.is_empty().then(Continuity::default);
        let seat = store.hub().tail.follow(store, poll_interval);
        let selection = Selection::new(store.clone(), filter);
        Self { selection, seat, ahead: Ahead::default(), continuity }
    }

    /// The next page after the cursor: at most `limit` events, or none where the filter held all back. Waits
    /// until there is one.
    ///
    /// Dropping the future loses nothing: the feed has no place of its own.
    pub(super) async fn next(&mut self, cursor: Position, limit: u32) -> Result<LogPage> {
        loop {
            match self.find(cursor, limit).await? {
                Some(page) if page.end > cursor => {
                    if let Some(continuity) = &mut self.continuity {
                        continuity.check(&page.events)?;
                    }
                    return Ok(page);
                }
                _ => self.seat.moved().await,
            }
        }
    }

    async fn find(&mut self, cursor: Position, limit: u32) -> Result<Option<LogPage>> {
        loop {
            let filter = self.selection.resolve_known().await?;
            let found =
                self.seat.after(cursor, filter.as_ref(), usize::try_from(limit).unwrap_or(usize::MAX));
            if !matches!(found, Found::Behind) {
                self.ahead = Ahead::default();
            }
            match found {
                Found::Behind => {
                    let page = self.ahead.read(&mut self.selection, cursor, limit).await?;
                    // While this page is handled.
                    if page.end > cursor && self.seat.is_behind(page.end) {
                        self.ahead.begin(&self.selection, page.end, limit);
                    }
                    return Ok(Some(page));
                }
                Found::Nothing => return Ok(None),
                // A type that nobody had used may have become known since, and stand in the page.
                Found::Page(page) if self.selection.resolve_known().await? == filter => {
                    return Ok(Some(page));
                }
                Found::Page(_) => {}
            }
        }
    }
}
