//! Writing the changes of one unit of work.

use evercore::{
    AggregateId, Context, Receipt, Result, Sequence,
    engine::{AggregateChange, Changes, CommitError, CommitOutcome, Expected, KeyChange, Timestamp},
};

use sqlx::{Sqlite, SqliteConnection, Transaction};

use crate::{
    driver::{self, Connection},
    engine::SqliteEngine,
    savepoint, statements,
};

/// The columns of which the unique index on natural keys speaks in its refusals.
const KEY_COLUMNS: &str = "evercore_aggregates.type_id, evercore_aggregates.natural_key";

/// Writes a unit of work inside a transaction of the application, and ends the unit of work. When the
/// transaction commits, its events are there with everything else that it wrote; when it rolls back, nothing is.
///
/// The transaction has to be one of the store's database, and should be able to write from the start: that of
/// [`begin`](evercore::engine::TransactionalEngine::begin) is, as is `BEGIN IMMEDIATE`. While it is open,
/// everything else that the store writes waits for its end, also ids for new aggregates: fill the unit of work
/// first, then begin the transaction. [`finish`](evercore::engine::TransactionalEngine::finish) commits it and wakes
/// subscriptions; when it is committed without that, they find the events a little later.
///
/// ```
/// use evercore::{Aggregate, Context, Receipt};
/// use evercore_sqlite::{SqliteEngine, commit_in};
/// use evercore::engine::TransactionalEngine as _;
///
/// async fn place_order(engine: &SqliteEngine, ctx: &Context) -> Result<Receipt, Box<dyn std::error::Error>> {
///     let mut transaction = engine.begin().await?;
///     sqlx::query("INSERT INTO orders (number) VALUES (7)").execute(&mut *transaction).await?;
///     let receipt = commit_in(ctx, &mut transaction).await?;
///     engine.finish(transaction).await?;
///     Ok(receipt)
/// }
/// ```
///
/// # Errors
///
/// As [`Context::commit`]; the transaction must be rolled back then.
/// [`Error::WrongEngine`](evercore::Error::WrongEngine) when the context's store is not in SQLite.
///
/// # Cancel safety
///
/// The unit of work may have ended, and the transaction must be rolled back.
pub async fn commit_in(context: &Context, transaction: &mut Transaction<'_, Sqlite>) -> Result<Receipt> {
    let prepared = context.prepare::<SqliteEngine>().await?;
    let written = write_in(transaction, prepared.engine(), prepared.changes()).await;
    prepared.resolve(written)
}

/// Writes changes inside a transaction of the application, if it is one of the engine's database.
pub(crate) async fn write_in(
    connection: &mut SqliteConnection,
    engine: &SqliteEngine,
    changes: &Changes,
) -> Result<CommitOutcome, CommitError> {
    savepoint::begin(connection, engine).await?;
    let written = write(connection, changes).await;
    savepoint::end(connection, written).await
}

/// Writes changes in a transaction of their own, on one of the engine's connections.
pub(crate) fn commit(
    connection: &mut rusqlite::Connection,
    changes: &Changes,
) -> Result<CommitOutcome, CommitError> {
    driver::in_transaction(connection, statements::BEGIN, |connection| {
        driver::now(write(connection, changes))
    })
}

/// Writes changes in a transaction that is under way. After an error it must be rolled back.
///
/// First the key, since a repeated commit must not look at anything else. Then the aggregates: those that
/// exist give up the keys that change before anyone takes one, so that keys can be swapped and reused.
pub(crate) async fn write(
    connection: &mut impl Connection,
    changes: &Changes,
) -> Result<CommitOutcome, CommitError> {
    if let Some(idempotency) = &changes.idempotency
        && let Some(repeated) = statements::find_idempotency_key(connection, &idempotency.key).await?
    {
        return Ok(CommitOutcome::Repeated(repeated));
    }
    for change in &changes.aggregates {
        if let Expected::At(sequence) = change.expected {
            advance(connection, change, sequence).await?;
        }
    }
    for change in &changes.aggregates {
        take_key(connection, change).await?;
    }
    let committed_at = statements::commit_time(connection, Timestamp::now()).await?;
    for event in &changes.events {
        statements::insert_event(connection, event, committed_at).await?;
    }
    let last_position =
        if changes.events.is_empty() { None } else { Some(statements::last_position(connection).await?) };
    for snapshot in &changes.snapshots {
        statements::put_snapshot(connection, snapshot).await?;
    }
    if let Some(idempotency) = &changes.idempotency {
        statements::insert_idempotency_key(connection, idempotency, last_position, committed_at).await?;
    }
    Ok(CommitOutcome::Committed { last_position, committed_at })
}

/// Checks an aggregate that should exist, moves it to its new version and frees its key if that changes.
async fn advance(
    connection: &mut impl Connection,
    change: &AggregateChange,
    expected: Sequence,
) -> Result<(), CommitError> {
    let as_expected = match &change.key {
        KeyChange::Set { from, .. } => {
            statements::free_key(connection, change, expected, from.as_ref()).await?
        }
        KeyChange::Keep if change.version == expected => {
            statements::version_of(connection, change.id).await? == Some(expected)
        }
        KeyChange::Keep => statements::advance_aggregate(connection, change, expected).await?,
    };
    if as_expected {
        return Ok(());
    }
    match statements::version_of(connection, change.id).await? {
        Some(actual) => Err(conflict(change.id, Some(actual))),
        None => Err(CommitError::UnknownAggregate(change.id)),
    }
}

/// Creates an aggregate, with its key, or sets the key that [`advance`] has freed.
async fn take_key(connection: &mut impl Connection, change: &AggregateChange) -> Result<(), CommitError> {
    let key = match &change.key {
        KeyChange::Set { to, .. } => Some(to),
        KeyChange::Keep => None,
    };
    let taken = match (change.expected, key) {
        (Expected::New, key) => statements::insert_aggregate(connection, change, key).await,
        (Expected::At(_), Some(key)) => statements::set_key(connection, change.id, key).await.map(|()| true),
        (Expected::At(_), None) => return Ok(()),
    };
    match taken {
        Ok(true) => Ok(()),
        Ok(false) => Err(conflict(change.id, statements::version_of(connection, change.id).await?)),
        Err(problem) if problem.violates_unique(KEY_COLUMNS) => Err(CommitError::DuplicateKey(change.id)),
        Err(problem) => Err(problem.into()),
    }
}

fn conflict(aggregate: AggregateId, actual: Option<Sequence>) -> CommitError {
    CommitError::Conflict { aggregate, actual }
}
