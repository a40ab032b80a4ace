//! Reading: aggregates, and the log.

use std::time::Duration;

use evercore::{
    Position,
    engine::{EventFilter, Load, LoadedAggregate, LogPage, LogRead, StoredEvent, Timestamp},
};
use sqlx::{Row as _, postgres::PgRow};
use tokio::time::sleep;

use crate::{
    connections::Connections,
    error::Problem,
    horizon::Horizon,
    row::{self, LoadRow},
    statements::Statements,
};

/// So many positions of the log are looked at for one page: what a page costs does not depend on how rare
/// the wanted events are. A page that stops here says how far it came.
const SCAN: u32 = 100_000;

/// So often a reader at the head looks again at a gap, and so long it waits before each time, until it asks who is
/// appending. Nearly always the next commit fills the gap, sooner than all that are appending have ended; and asking
/// is work for the server that holds up writers.
const GLANCES: u32 = 8;
const MOMENT: Duration = Duration::from_millis(1);

/// The answers to the requests of a load.
pub(crate) fn loaded(requests: &[Load], rows: &[PgRow]) -> Result<Vec<Option<LoadedAggregate>>, Problem> {
    let mut answers: Vec<Option<LoadedAggregate>> = vec![None; requests.len()];
    let mut events: Vec<Vec<StoredEvent>> = vec![Vec::new(); requests.len()];
    for row in rows {
        let (place, row) = row::loaded(row)?;
        let impossible = || Problem::Impossible { what: "the place of a request", value: place.to_string() };
        let index = usize::try_from(place - 1).ok().filter(|index| *index < requests.len());
        let index = index.ok_or_else(impossible)?;
        match row {
            LoadRow::Event(event) => events[index].push(event),
            LoadRow::Aggregate(found) => {
                let events = Vec::new();
                let row::AggregateRow { id, type_id, key, version, snapshot } = found;
                answers[index] = Some(LoadedAggregate { id, type_id, key, version, snapshot, events });
            }
        }
    }
    for (answer, mut events) in answers.iter_mut().zip(events) {
        if let Some(aggregate) = answer {
            // They come in order, but SQL does not promise it.
            events.sort_by_key(|event| event.sequence);
            aggregate.events = events;
        }
    }
    Ok(answers)
}

/// A reader of the log.
#[derive(Clone, Copy)]
pub(crate) struct Log<'a> {
    pub(crate) connections: &'a Connections,
    pub(crate) statements: &'a Statements,
    pub(crate) horizon: &'a Horizon,
}

impl Log<'_> {
    /// A page of the log.
    pub(crate) async fn page(self, read: &LogRead) -> Result<LogPage, Problem> {
        match read.filter == EventFilter::default() {
            true => self.whole_page(read).await,
            false => self.filtered_page(read).await,
        }
    }

    /// A page of all events. As long as no position is missing it is settled; at a gap it ends, and only when
    /// it begins at one is there something to wait for.
    async fn whole_page(self, read: &LogRead) -> Result<LogPage, Problem> {
        let mut glances = 0;
        loop {
            let mut connection = self.connections.lease(self.statements).await?;
            // Asked before the rows: what is settled later may still be missing among them.
            let known = self.horizon.known(self.connections);
            let mut events =
                events(&connection.fetch(self.statements.log_after(read.after, read.limit)).await?)?;
            drop(connection);
            let (seen, end) = (events.len(), settled(&mut events, read.after, known.position));
            if events.is_empty() && seen > 0 {
                // A page that is full may be one of a gap that is long over.
                if glances < GLANCES && !is_full(seen, read) {
                    glances += 1;
                    sleep(MOMENT).await;
                    continue;
                }
                self.horizon.settle(self.connections, self.statements).await?;
                continue;
            }
            if read.after <= known.position {
                self.horizon.raise(known, end);
            }
            return Ok(LogPage { events, end });
        }
    }

    /// A page of some events. Among them a gap cannot be seen, so the log is settled first, as far as it goes.
    async fn filtered_page(self, read: &LogRead) -> Result<LogPage, Problem> {
        loop {
            let mut connection = self.connections.lease(self.statements).await?;
            let known = self.horizon.known(self.connections).position;
            if known > read.after {
                let end = known.min(stretch(read));
                let query = self.statements.log_between(read, end);
                let events = events(&connection.fetch(query).await?)?;
                return Ok(filtered(events, read, end));
            }
            drop(connection);
            let head = self.horizon.settle(self.connections, self.statements).await?;
            if head <= read.after {
                return Ok(LogPage { events: Vec::new(), end: read.after });
            }
        }
    }

    /// The settled head.
    pub(crate) async fn head(self) -> Result<Position, Problem> {
        self.horizon.settle(self.connections, self.statements).await
    }

    /// The position before the first event recorded at `since` or later.
    pub(crate) async fn locate(self, since: Timestamp) -> Result<Position, Problem> {
        let head = self.head().await?;
        let rows = self.connections.fetch(self.statements, self.statements.locate(since, head)).await?;
        Ok(Position::new(row::refuse_standby(&rows)?.try_get("position")?))
    }
}

/// Cuts off what is not settled, and says where the rest ends: the first event that is not known to be settled
/// and does not follow on the one before has a gap in front of it.
fn settled(events: &mut Vec<StoredEvent>, after: Position, known: Position) -> Position {
    let mut end = after;
    let mut count = 0;
    for event in events.iter() {
        let follows = event.position.get() == end.max(known).get() + 1;
        if event.position > known && !follows {
            break;
        }
        end = event.position;
        count += 1;
    }
    events.truncate(count);
    end
}

/// How far a page of some events looks.
fn stretch(read: &LogRead) -> Position {
    Position::new(read.after.get().saturating_add(i64::from(SCAN.max(read.limit))))
}

/// A page of the wanted events up to `end`, unless it is full before.
fn filtered(events: Vec<StoredEvent>, read: &LogRead, end: Position) -> LogPage {
    let end = match events.last() {
        Some(last) if is_full(events.len(), read) => last.position,
        _ => end,
    };
    LogPage { events, end }
}

fn is_full(events: usize, read: &LogRead) -> bool {
    u32::try_from(events).is_ok_and(|count| count >= read.limit)
}

/// The events of a page, in their order: they come in it, but SQL does not promise it.
fn events(rows: &[PgRow]) -> Result<Vec<StoredEvent>, Problem> {
    row::refuse_standby(rows)?;
    let events = rows.iter().filter_map(|row| row::event(row).transpose());
    let mut events = events.collect::<Result<Vec<_>, _>>()?;
    events.sort_by_key(|event| event.position);
    Ok(events)
}
