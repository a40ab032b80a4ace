//! Names of types and the numbers that stand for them.

use std::collections::HashSet;

use evercore::{
    AggregateTypeId, EventTypeId,
    engine::{TypeCatalog, TypeNames},
};
use rusqlite::Connection;

use crate::{driver, error::Problem, statements};

/// All types.
pub(crate) fn all(connection: &mut Connection) -> Result<TypeCatalog, Problem> {
    Ok(TypeCatalog {
        aggregates: named(connection, statements::AGGREGATE_TYPES, AggregateTypeId::new)?,
        events: named(connection, statements::EVENT_TYPES, EventTypeId::new)?,
    })
}

/// Defines the names that are not known yet and returns all types. Where all are known nothing is written,
/// so that a store that cannot be written to can be opened.
pub(crate) fn define(connection: &mut Connection, names: &TypeNames) -> Result<TypeCatalog, Problem> {
    let known = all(connection)?;
    if are_known(&known.aggregates, &names.aggregates) && are_known(&known.events, &names.events) {
        return Ok(known);
    }
    driver::in_transaction(connection, statements::BEGIN, |connection| {
        for name in &names.aggregates {
            connection.prepare_cached(statements::DEFINE_AGGREGATE_TYPE)?.execute([name])?;
        }
        for name in &names.events {
            connection.prepare_cached(statements::DEFINE_EVENT_TYPE)?.execute([name])?;
        }
        all(connection)
    })
}

fn named<Id>(
    connection: &Connection,
    sql: &'static str,
    id: impl Fn(i64) -> Id,
) -> Result<Vec<(Id, String)>, Problem> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| Ok((id(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn are_known<Id>(known: &[(Id, String)], names: &[String]) -> bool {
    let known: HashSet<_> = known.iter().map(|(_, name)| name).collect();
    names.iter().all(|name| known.contains(name))
}
