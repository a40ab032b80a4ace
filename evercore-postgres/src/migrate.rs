//! Bringing a schema to the one of this version of the library.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::time::timeout;

use crate::{
    error::Problem,
    schema::Schema,
    statements::{self, Statements},
};

/// The steps in order: step 1 is the first. A step that was released is never edited.
const STEPS: &[(&str, &str)] = &[
    ("event store", include_str!("../migrations/0001_event_store.sql")),
    ("commit", include_str!("../migrations/0002_commit.sql")),
    ("horizon", include_str!("../migrations/0003_horizon.sql")),
    ("subscriptions", include_str!("../migrations/0004_subscriptions.sql")),
];

/// The schema version that this version of the library reads and writes.
#[expect(clippy::cast_possible_wrap, reason = "there are not that many steps")]
pub(crate) const KNOWN: i64 = STEPS.len() as i64;

/// All is done in transactions, and nothing is prepared for longer than one: so it works behind any pooler.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// Applies the steps that are missing, all in one transaction: a process that dies on the way leaves the
/// schema as it was, and of several that start at once one migrates and the others find it done. Whether there
/// are any is answered within `limit`; migrating takes as long as it takes.
pub(crate) async fn migrate(
    connection: &mut PgConnection,
    schema: &Schema,
    statements: &Statements,
    limit: Duration,
) -> Result<(), Problem> {
    if version_within(limit, connection, statements).await? == KNOWN {
        return Ok(());
    }
    // Each statement has to see what the one before the lock did.
    let mut transaction = connection.begin_with(BEGIN).await?;
    statements.lock_migrations().persistent(false).execute(&mut *transaction).await?;
    apply_missing(&mut transaction, schema, statements).await?;
    Ok(transaction.commit().await?)
}

/// Fails when the schema is not the one of this version.
pub(crate) async fn check(
    connection: &mut PgConnection,
    statements: &Statements,
    limit: Duration,
) -> Result<(), Problem> {
    match version_within(limit, connection, statements).await? {
        KNOWN => Ok(()),
        0 => Err(Problem::NoSchema),
        found => Err(Problem::OlderSchema { found, known: KNOWN }),
    }
}

/// Fails when somebody has altered the schema: what statements depend on is looked for, before they fail in the
/// middle, or go on where a commit cannot be trusted any more.
pub(crate) async fn refuse_altered(
    connection: &mut PgConnection,
    schema: &Schema,
    statements: &Statements,
    limit: Duration,
) -> Result<(), Problem> {
    let found = timeout(limit, async {
        let mut transaction = connection.begin_with(BEGIN).await?;
        let row = statements.altered().persistent(false).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        row.try_get("changes")
    });
    match found.await.map_err(|_| Problem::NoAnswerWithin(limit))?? {
        Some(changes) => Err(Problem::Altered { schema: schema.to_string(), changes }),
        None => Ok(()),
    }
}

/// All steps, for people who apply them by hand.
pub(crate) fn sql(schema: &Schema) -> String {
    let mut text = String::from("BEGIN;\n\n");
    for statement in [statements::CREATE_SCHEMA, statements::CREATE_MIGRATIONS_TABLE] {
        text.push_str(&format!("{};\n\n", schema.text(statement).trim_end()));
    }
    for (version, (name, step)) in (1..).zip(STEPS) {
        let note =
            format!("INSERT INTO {{schema}}.migrations (version, name) VALUES ({version}, '{name}');\n\n");
        text.push_str(&schema.text(step));
        text.push_str(&schema.text(&note));
    }
    text.push_str("COMMIT;\n");
    text
}

async fn apply_missing(
    connection: &mut PgConnection,
    schema: &Schema,
    statements: &Statements,
) -> Result<(), Problem> {
    let found = version(connection, statements).await?;
    let exists = statements.find_migrations_table().persistent(false).fetch_one(&mut *connection).await?;
    // Even where there is nothing to create it needs the right to create schemas.
    if !exists.try_get::<bool, _>("has_schema")? {
        run(connection, schema, statements::CREATE_SCHEMA).await?;
    }
    run(connection, schema, statements::CREATE_MIGRATIONS_TABLE).await?;
    for (version, (name, step)) in (1..).zip(STEPS).filter(|(version, _)| *version > found) {
        tracing::info!(version, name, "migrating the event store");
        let applied = run(connection, schema, step).await;
        applied.map_err(|problem| failed(problem, version, name, schema))?;
        statements.insert_migration(version, name).persistent(false).execute(&mut *connection).await?;
    }
    Ok(())
}

fn failed(problem: Problem, version: i64, name: &'static str, schema: &Schema) -> Problem {
    let is_there = |code| matches!(code, "42P07" | "42710" | "42723");
    let hint = match problem.answer().is_some_and(|answer| is_there(answer.code())) {
        true => {
            ": parts of it are there, though the table `migrations` does not say so; complete it by hand, or drop the schema"
        }
        false => "",
    };
    Problem::Migration { version, name, schema: schema.to_string(), hint, source: Box::new(problem) }
}

async fn run(connection: &mut PgConnection, schema: &Schema, text: &str) -> Result<(), Problem> {
    sqlx::raw_sql(AssertSqlSafe(schema.text(text))).execute(connection).await?;
    Ok(())
}

async fn version_within(
    limit: Duration,
    connection: &mut PgConnection,
    statements: &Statements,
) -> Result<i64, Problem> {
    let found = timeout(limit, async {
        let mut transaction = connection.begin_with(BEGIN).await?;
        let found = version(&mut transaction, statements).await?;
        transaction.commit().await?;
        Ok(found)
    });
    found.await.map_err(|_| Problem::NoAnswerWithin(limit))?
}

/// The version of the schema, 0 when there is none.
async fn version(connection: &mut PgConnection, statements: &Statements) -> Result<i64, Problem> {
    let exists = statements.find_migrations_table().persistent(false).fetch_one(&mut *connection).await?;
    if !exists.try_get::<bool, _>("has_table")? {
        return Ok(0);
    }
    let found = statements.schema_version().persistent(false).fetch_one(connection).await?;
    let found = found.try_get("version")?;
    if found > KNOWN {
        return Err(Problem::NewerSchema { found, known: KNOWN });
    }
    Ok(found)
}
