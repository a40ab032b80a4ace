//! Reading: aggregates, and the log.

use std::time::Duration;

use evercore::{
    Position,
    engine::{EventFilter, Load, LoadedAggregate, LogPage, LogRead, StoredEvent, Timestamp},
};
use sqlx::{Row as _, postgres::PgRow};
use tokio::time::sleep;

use crate::{
    answer::Page,
    connections::{Connections, Lease},
    copy::CopiedHorizon,
    error::Problem,
    horizon::{Head, Horizon, Known},
    mark::Mark,
    publishing::Publishing,
    row::{self, Limit, LoadRow},
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

/// What is found where a page is to begin.
enum Found {
    Page(LogPage),
    /// Positions are missing at the head, before all events that are there.
    Gap,
    /// Nothing that is known to be settled.
    Nothing,
}

/// A reader of the log.
#[derive(Clone, Copy)]
pub(crate) struct Log<'a> {
    pub(crate) connections: &'a Connections,
    pub(crate) statements: &'a Statements,
    pub(crate) horizon: &'a Horizon,
    pub(crate) copied: &'a CopiedHorizon,
    pub(crate) publishing: &'a Publishing,
}

impl Log<'_> {
    /// A page of the log. Where nothing can be handed out, the log is settled first.
    pub(crate) async fn page(self, read: &LogRead) -> Result<LogPage, Problem> {
        let is_whole = read.filter == EventFilter::default();
        let mut glances = 0;
        loop {
            let mut connection = self.connections.lease(self.statements).await?;
            // Asked before the rows: what is settled later may still be missing among them.
            let known = self.horizon.known(self.connections)?;
            let found = match is_whole {
                true => self.whole_page(read, &mut connection, known).await?,
                false => self.filtered_page(read, &mut connection, known).await?,
            };
            drop(connection);
            match found {
                Found::Page(page) => {
                    if let Some(last) = page.events.last() {
                        self.horizon.hand_out(Mark::of(last));
                    }
                    return Ok(page);
                }
                Found::Gap if glances < GLANCES => {
                    glances += 1;
                    sleep(MOMENT).await;
                }
                Found::Gap | Found::Nothing => {
                    if self.settle().await? <= read.after {
                        return Ok(LogPage { events: Vec::new(), end: read.after });
                    }
                }
            }
        }
    }

    /// A page of all events. As long as no position is missing it is settled; at a gap it ends, and only when
    /// it begins at one is there something to wait for.
    async fn whole_page(
        self,
        read: &LogRead,
        connection: &mut Lease<'_>,
        known: Known,
    ) -> Result<Found, Problem> {
        let query = self.statements.log_after(read.after, read.limit, known.last);
        let (limit, page): (_, Page) = self.horizon.ask(connection, self.statements, query, known).await?;
        let mut events = page.events();
        if let Limit::Published(end) = limit {
            return Ok(copied(events, read, end));
        }
        let (seen, end) = (events.len(), settled(&mut events, read.after, known.settled.position));
        if events.is_empty() && seen > 0 {
            // A page that is full may be one of a gap that is long over.
            return Ok(if is_full(seen, read) { Found::Nothing } else { Found::Gap });
        }
        if let Some(last) = events.last().map(Mark::of) {
            let is_settled = read.after <= known.settled.position;
            if is_settled {
                self.horizon.raise(known, last);
            }
            self.publishing.signal(is_settled.then(|| last.max(known.settled)));
        }
        Ok(Found::Page(LogPage { events, end }))
    }

    /// A page of some events. Among them a gap cannot be seen, so it goes no further than what is known to be settled.
    async fn filtered_page(
        self,
        read: &LogRead,
        connection: &mut Lease<'_>,
        known: Known,
    ) -> Result<Found, Problem> {
        let end = match known.is_copy {
            true => stretch(read),
            false => known.settled.position.min(stretch(read)),
        };
        if end <= read.after {
            return Ok(Found::Nothing);
        }
        let query = self.statements.log_between(read, end, known.last);
        let (limit, page): (_, Page) = self.horizon.ask(connection, self.statements, query, known).await?;
        let events = page.events();
        Ok(match limit {
            Limit::Published(limit) => copied(events, read, end.min(limit)),
            // It was a copy before, of which less was known.
            Limit::Settled if known.is_copy => Found::Nothing,
            Limit::Settled => Found::Page(filtered(events, read, end)),
        })
    }

    /// The settled head.
    pub(crate) async fn head(self) -> Result<Position, Problem> {
        self.settle().await
    }

    /// The position before the first event recorded at `since` or later.
    pub(crate) async fn locate(self, since: Timestamp) -> Result<Position, Problem> {
        loop {
            let head = self.settle().await?;
            let rows = self.connections.fetch(self.statements, self.statements.locate(since, head)).await?;
            // Another copy may have answered, which is not as far.
            if !matches!(row::limit(&rows)?, Some(Limit::Published(limit)) if limit < head) {
                return Ok(Position::new(rows.first().ok_or(Problem::NoAnswer)?.try_get("position")?));
            }
        }
    }

    /// Settles what can be seen now, or what of it can be had where the log is a copy, and says how far that is.
    async fn settle(self) -> Result<Position, Problem> {
        let Self { connections, statements, horizon, copied, publishing } = self;
        loop {
            if let Head::Settled(head) = horizon.settle(connections, statements).await? {
                publishing.signal(Some(head));
                return Ok(head.position);
            }
            let caught_up = copied.catch_up(horizon, connections, statements, publishing.primary()).await?;
            if let Some(limit) = caught_up {
                return Ok(limit);
            }
        }
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

/// A page of a copy: of what it has up to `end` nothing is missing.
fn copied(events: Vec<StoredEvent>, read: &LogRead, end: Position) -> Found {
    match end > read.after {
        true => Found::Page(filtered(events, read, end)),
        false => Found::Nothing,
    }
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
