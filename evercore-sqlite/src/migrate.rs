//! Bringing a database to the schema of this version of the library.

use rusqlite::Connection;

use crate::{driver, error::Problem, statements};

/// The steps in order: step 1 is the first. A step that was released is never edited.
const STEPS: &[(&str, &str)] = &[
    ("event store", include_str!("../migrations/0001_event_store.sql")),
    ("subscriptions", include_str!("../migrations/0002_subscriptions.sql")),
];

/// The schema version that this version of the library reads and writes.
pub(crate) const KNOWN: i64 = STEPS.len() as i64;

/// Applies the steps that are missing, all in one transaction: a process that dies on the way leaves
/// the database as it was, and of several that start at once one migrates and the others find it done.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), Problem> {
    if version(connection)? == KNOWN {
        return Ok(());
    }
    driver::in_transaction(connection, statements::BEGIN, apply_missing)
}

/// Fails when the schema is newer than this version.
pub(crate) fn refuse_newer(connection: &mut Connection) -> Result<(), Problem> {
    version(connection).map(drop)
}

/// Fails when the schema is not the one of this version.
pub(crate) fn check(connection: &mut Connection) -> Result<(), Problem> {
    match version(connection)? {
        KNOWN => Ok(()),
        found => Err(Problem::OlderSchema { found, known: KNOWN }),
    }
}

fn apply_missing(connection: &mut Connection) -> Result<(), Problem> {
    let found = version(connection)?;
    connection.execute_batch(statements::CREATE_MIGRATIONS_TABLE)?;
    for (version, (name, sql)) in (1..).zip(STEPS).filter(|(version, _)| *version > found) {
        tracing::info!(version, name, "migrating the event store");
        connection.execute_batch(sql)?;
        connection.prepare(statements::INSERT_MIGRATION)?.execute((version, name))?;
    }
    Ok(())
}

/// The version of the schema, 0 when there is none.
fn version(connection: &mut Connection) -> Result<i64, Problem> {
    if !connection.prepare(statements::FIND_MIGRATIONS_TABLE)?.exists([])? {
        return Ok(0);
    }
    let found = connection.query_row(statements::SCHEMA_VERSION, [], |row| row.get(0))?;
    if found > KNOWN {
        return Err(Problem::NewerSchema { found, known: KNOWN });
    }
    Ok(found)
}
