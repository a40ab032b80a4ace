//! Events of rare types, found by the index of types.

use evercore::{
    AggregateTypeId, Position,
    engine::{EventFilter, LogPage},
};
use rusqlite::Connection;

use crate::{error::Problem, row, statements, types};

/// The wanted events after a position, at most `limit`, up to the head of the log: what that costs depends on how
/// many there are, and not on how many others lie between.
pub(crate) fn events(
    connection: &mut Connection,
    filter: &EventFilter,
    after: Position,
    limit: usize,
    head: Position,
) -> Result<LogPage, Problem> {
    let (positions, end) = positions(connection, filter, after, limit, head)?;
    let mut statement = connection.prepare_cached(statements::EVENT_AT)?;
    let mut events = Vec::with_capacity(positions.len());
    for position in positions {
        let mut rows = statement.query([position])?;
        if let Some(row) = rows.next()? {
            events.push(row::event(row)?);
        }
    }
    Ok(LogPage { events, end })
}

/// Where the wanted events are, and how far that is all.
fn positions(
    connection: &mut Connection,
    filter: &EventFilter,
    after: Position,
    limit: usize,
    head: Position,
) -> Result<(Vec<i64>, Position), Problem> {
    let (mut positions, mut end) = (Vec::new(), head.max(after));
    let pairs = pairs(connection, filter)?;
    let mut statement = connection.prepare_cached(statements::POSITIONS_OF_TYPE)?;
    for (aggregate_type, event_type) in pairs {
        let wanted =
            (aggregate_type, event_type, after.get(), end.get(), i64::try_from(limit).unwrap_or(i64::MAX));
        let found = statement.query_map(wanted, |row| row.get(0))?;
        positions.extend(found.collect::<Result<Vec<i64>, _>>()?);
        if positions.len() >= limit {
            positions.sort_unstable();
            positions.truncate(limit);
            // Of the other types, what comes later would not be in the page.
            end = positions.last().map_or(end, |last| Position::new(*last));
        }
    }
    positions.sort_unstable();
    Ok((positions, end))
}

/// The types of aggregates, each with the types of events, by which the filter's events are in the index.
fn pairs(connection: &mut Connection, filter: &EventFilter) -> Result<Vec<(i64, i64)>, Problem> {
    let mut aggregate_types = filter.aggregate_types.as_deref().map(<[_]>::to_vec);
    let mut event_types = filter.event_types.as_deref().map(<[_]>::to_vec);
    if aggregate_types.is_none() || event_types.is_none() {
        let all = types::all(connection)?;
        aggregate_types.get_or_insert_with(|| all.aggregates.iter().map(|(id, _)| *id).collect());
        event_types.get_or_insert_with(|| all.events.iter().map(|(id, _)| *id).collect());
    }
    let (mut aggregate_types, mut event_types) =
        (aggregate_types.unwrap_or_default(), event_types.unwrap_or_default());
    // A type that is given twice is looked up once.
    aggregate_types.sort_unstable();
    aggregate_types.dedup();
    event_types.sort_unstable();
    event_types.dedup();
    let pairs =
        |aggregate: AggregateTypeId| event_types.iter().map(move |event| (aggregate.get(), event.get()));
    Ok(aggregate_types.into_iter().flat_map(pairs).collect())
}
