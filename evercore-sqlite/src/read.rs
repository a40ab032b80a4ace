//! Reading: aggregates, and the log.

use evercore::{
    AggregateId, AggregateTypeId, NaturalKey, Position, Sequence,
    engine::{
        EventFilter, Load, LoadTarget, LoadedAggregate, LoadedSnapshot, LogPage, LogRead, SnapshotUse,
        StoredEvent, Timestamp,
    },
};
use rusqlite::{Connection, OptionalExtension as _, Rows};

use crate::{
    driver,
    error::Problem,
    rare,
    row::{self, AggregateRow},
    statements,
};

/// So many events of the log are looked at for one page: what a page costs does not depend on how rare
/// the wanted events are. A page that stops here says how far it came.
const SCAN: u32 = 10_000;

/// After so many events it is known whether the wanted ones are rare, which is less than one in ten of them. Then
/// the index is faster.
const SAMPLE: usize = 100;

/// The aggregate of this type with this key.
pub(crate) fn find_by_key(
    connection: &Connection,
    type_id: AggregateTypeId,
    key: &NaturalKey,
) -> Result<Option<AggregateId>, Problem> {
    let mut statement = connection.prepare_cached(statements::FIND_BY_KEY)?;
    let id = statement.query_row((type_id.get(), key.as_str()), |row| row.get(0)).optional()?;
    Ok(id.map(AggregateId::new))
}

/// The answer to each request, all of one moment.
pub(crate) fn load(
    connection: &mut Connection,
    requests: &[Load],
) -> Result<Vec<Option<LoadedAggregate>>, Problem> {
    driver::in_transaction(connection, statements::BEGIN_READING, |connection| {
        requests.iter().map(|request| load_one(connection, request)).collect()
    })
}

fn load_one(connection: &Connection, request: &Load) -> Result<Option<LoadedAggregate>, Problem> {
    let Some(AggregateRow { id, type_id, key, version }) = find(connection, &request.target)? else {
        return Ok(None);
    };
    let snapshot = load_snapshot(connection, id, request)?;
    let after = match &snapshot {
        LoadedSnapshot::Found(snapshot) => snapshot.sequence,
        LoadedSnapshot::None | LoadedSnapshot::Misfit => request.after,
    };
    let events = load_events(connection, id, after, request.limit)?;
    Ok(Some(LoadedAggregate { id, type_id, key, version, snapshot, events }))
}

fn find(connection: &Connection, target: &LoadTarget) -> Result<Option<AggregateRow>, Problem> {
    let found = |rows: &mut Rows<'_>| rows.next()?.map(row::aggregate).transpose();
    match target {
        LoadTarget::Id(id) => {
            found(&mut connection.prepare_cached(statements::AGGREGATE_BY_ID)?.query([id.get()])?)
        }
        LoadTarget::Key(type_id, key) => found(
            &mut connection
                .prepare_cached(statements::AGGREGATE_BY_KEY)?
                .query((type_id.get(), key.as_str()))?,
        ),
    }
}

fn load_snapshot(
    connection: &Connection,
    id: AggregateId,
    request: &Load,
) -> Result<LoadedSnapshot, Problem> {
    if request.snapshot == SnapshotUse::Ignore {
        return Ok(LoadedSnapshot::None);
    }
    let mut statement = connection.prepare_cached(statements::SNAPSHOT_AFTER)?;
    let mut rows = statement.query((id.get(), request.after.get()))?;
    let Some(row) = rows.next()? else { return Ok(LoadedSnapshot::None) };
    let (fingerprint, snapshot) = row::snapshot(row)?;
    Ok(match request.snapshot {
        SnapshotUse::Fitting(wanted) if wanted != fingerprint => LoadedSnapshot::Misfit,
        _ => LoadedSnapshot::Found(snapshot),
    })
}

fn load_events(
    connection: &Connection,
    id: AggregateId,
    after: Sequence,
    limit: u32,
) -> Result<Vec<StoredEvent>, Problem> {
    let mut statement = connection.prepare_cached(statements::EVENTS_OF_AGGREGATE)?;
    let mut rows = statement.query((id.get(), after.get(), limit))?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(row::event(row)?);
    }
    Ok(events)
}

/// The next aggregates of a type.
pub(crate) fn aggregate_ids(
    connection: &Connection,
    type_id: AggregateTypeId,
    after: Option<AggregateId>,
    limit: u32,
) -> Result<Vec<AggregateId>, Problem> {
    let mut statement = connection.prepare_cached(statements::AGGREGATE_IDS)?;
    let after = after.map_or(0, AggregateId::get);
    let ids = statement.query_map((type_id.get(), after, limit), |row| Ok(AggregateId::new(row.get(0)?)))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// A page of the log. Everything that can be read is settled: there is one writer at a time.
pub(crate) fn log(connection: &mut Connection, read: &LogRead) -> Result<LogPage, Problem> {
    if read.filter == EventFilter::default() {
        let mut statement = connection.prepare_cached(statements::LOG_AFTER)?;
        return page(statement.query((read.after.get(), read.limit))?, read);
    }
    let Some(aggregate) = read.filter.aggregate else {
        return driver::in_transaction(connection, statements::BEGIN_READING, |connection| {
            log_of_types(connection, read)
        });
    };
    driver::in_transaction(connection, statements::BEGIN_READING, |connection| {
        let (last_sequence, last_position) = last_event(connection, aggregate)?;
        let after = sequence_at(connection, aggregate, read.after, last_sequence)?;
        let mut statement = connection.prepare_cached(statements::EVENTS_OF_AGGREGATE)?;
        let mut page = page(statement.query((aggregate.get(), after, SCAN.max(read.limit)))?, read)?;
        if !is_full(&page.events, read) && page.end >= last_position {
            page.end = head(connection)?.max(read.after);
        }
        Ok(page)
    })
}

/// A page of events of some types. It begins by looking at all events, and goes on by the index where the wanted ones
/// turn out to be rare.
fn log_of_types(connection: &mut Connection, read: &LogRead) -> Result<LogPage, Problem> {
    let (mut page, mut seen) = (LogPage { events: Vec::new(), end: read.after }, 0);
    {
        let mut statement = connection.prepare_cached(statements::LOG_AFTER)?;
        let mut rows = statement.query((read.after.get(), SCAN.max(read.limit)))?;
        while !(is_full(&page.events, read) || seen >= SAMPLE && page.events.len() * 10 < seen) {
            let Some(row) = rows.next()? else { return Ok(page) };
            seen += 1;
            page.end = row::position(row)?;
            if row::is_allowed(row, &read.filter)? {
                page.events.push(row::event(row)?);
            }
        }
    }
    if !is_full(&page.events, read) {
        let limit = usize::try_from(read.limit).unwrap_or(usize::MAX) - page.events.len();
        let rest = rare::events(connection, &read.filter, page.end, limit, head(connection)?)?;
        page.events.extend(rest.events);
        page.end = rest.end;
    }
    Ok(page)
}

/// Sequence and position of an aggregate's last event.
fn last_event(connection: &Connection, aggregate: AggregateId) -> Result<(i64, Position), Problem> {
    let mut statement = connection.prepare_cached(statements::LAST_EVENT_OF_AGGREGATE)?;
    let last = statement.query_row([aggregate.get()], |row| Ok((row.get(0)?, Position::new(row.get(1)?))));
    Ok(last.optional()?.unwrap_or((0, Position::START)))
}

/// The sequence of the aggregate's last event up to a position. Within an aggregate the order of sequences is
/// the order of positions.
fn sequence_at(
    connection: &Connection,
    aggregate: AggregateId,
    position: Position,
    last_sequence: i64,
) -> Result<i64, Problem> {
    let mut statement = connection.prepare_cached(statements::NEXT_EVENT_OF_AGGREGATE)?;
    last_before(0, last_sequence, |after| {
        let (sequence, found): (i64, i64) =
            statement.query_row((aggregate.get(), after), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((found <= position.get()).then_some(sequence))
    })
}

/// The rows that the filter allows, until the page is full or there are no more; it ends at the last row seen.
fn page(mut rows: Rows<'_>, read: &LogRead) -> Result<LogPage, Problem> {
    let mut page = LogPage { events: Vec::new(), end: read.after };
    while !is_full(&page.events, read)
        && let Some(row) = rows.next()?
    {
        page.end = row::position(row)?;
        if row::is_allowed(row, &read.filter)? {
            page.events.push(row::event(row)?);
        }
    }
    Ok(page)
}

fn is_full(events: &[StoredEvent], read: &LogRead) -> bool {
    u32::try_from(events.len()).is_ok_and(|count| count >= read.limit)
}

/// The position of the last event.
pub(crate) fn head(connection: &Connection) -> Result<Position, Problem> {
    let position = connection.prepare_cached(statements::HEAD)?.query_row([], |row| row.get(0))?;
    Ok(Position::new(position))
}

/// The position before the first event recorded at `since` or later: recorded times never decrease.
pub(crate) fn locate(connection: &mut Connection, since: Timestamp) -> Result<Position, Problem> {
    driver::in_transaction(connection, statements::BEGIN_READING, |connection| {
        let mut statement = connection.prepare_cached(statements::RECORDED_AFTER)?;
        let position = last_before(0, head(connection)?.get(), |after| {
            let (position, recorded_at): (i64, i64) =
                statement.query_row([after], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok((recorded_at < since.micros()).then_some(position))
        })?;
        Ok(Position::new(position))
    })
}

/// Halves numbered rows, the last of which is `end`, to find the last of those that come early enough; else it is
/// `before`. `next_early` is asked for the number of the row after another one, if that comes early enough.
fn last_before(
    mut before: i64,
    mut end: i64,
    mut next_early: impl FnMut(i64) -> Result<Option<i64>, Problem>,
) -> Result<i64, Problem> {
    while before < end {
        let middle = before + (end - before) / 2;
        match next_early(middle)? {
            Some(early) => before = early,
            None => end = middle,
        }
    }
    Ok(before)
}
