//! Writing the changes of one unit of work.

use evercore::{
    Context, Receipt, Result,
    engine::{Changes, CommitError, CommitOutcome, Expected},
};
use sqlx::{PgConnection, Postgres, Transaction, postgres::PgRow};
use tokio::time::timeout;

use crate::{
    calls::lock_timeout, connections::Connections, engine::PostgresEngine, error::Problem, row,
    statements::Statements,
};

/// So many bytes of payloads fit into one call: the server takes messages of a gigabyte, in which there are texts
/// and numbers too.
const MAX_BYTES: usize = 900 << 20;

/// Writes a unit of work inside a transaction of the application, and ends the unit of work. When the
/// transaction commits, its events are there with everything else that it wrote; when it rolls back, nothing is.
///
/// The transaction has to be one of the store's database. From here until it ends readers of the log wait for
/// it, as do commits that change the same aggregates: so this comes last, right before the end.
/// [`finish`](evercore::engine::TransactionalEngine::finish) commits it and wakes subscriptions; when it is
/// committed without that, they find the events a little later.
///
/// Under `REPEATABLE READ` or `SERIALIZABLE` an aggregate that somebody else changed is reported as a conflict
/// whose actual sequence is not known.
///
/// ```
/// use evercore::{Context, Receipt, engine::TransactionalEngine as _};
/// use evercore_postgres::{PostgresEngine, commit_in};
///
/// async fn place_order(engine: &PostgresEngine, ctx: &Context) -> Result<Receipt, Box<dyn std::error::Error>> {
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
/// As [`Context::commit`]; the transaction must be rolled back then. That waits for the server's answer, when
/// that was what took too long.
/// [`Error::WrongEngine`](evercore::Error::WrongEngine) when the context's store is not in PostgreSQL.
///
/// # Cancel safety
///
/// The unit of work may have ended, and the transaction must be rolled back.
pub async fn commit_in(context: &Context, transaction: &mut Transaction<'_, Postgres>) -> Result<Receipt> {
    let prepared = context.prepare::<PostgresEngine>().await?;
    let written = write_in(transaction, prepared.engine(), prepared.changes()).await;
    prepared.resolve(written)
}

/// Writes changes inside a transaction of the application, if it is one of the engine's store.
pub(crate) async fn write_in(
    connection: &mut PgConnection,
    engine: &PostgresEngine,
    changes: &Changes,
) -> Result<CommitOutcome, CommitError> {
    refuse_too_large(changes)?;
    engine.refuse_subscribed()?;
    let limit = engine.limits().statement;
    let query = engine.statements().commit(changes, Some(engine.store()), lock_timeout(limit));
    let query = engine.limits().calls.within(query);
    let answered = timeout(limit, query.fetch_one(connection)).await;
    // Nothing is committed before the application does that, so nothing is in doubt here.
    match answered.map_or(Err(Problem::NoAnswerWithin(limit)), |answered| Ok(answered?)) {
        Ok(row) => Ok(row::outcome(&row)?),
        Err(problem) if problem.is_serialization_failure() => Err(of_another_moment(problem, changes)),
        Err(problem) => match problem.of_commit() {
            CommitError::OutcomeUnknown(error) => Err(CommitError::Engine(error)),
            refusal => Err(refusal),
        },
    }
}

/// A transaction that sees a single moment is refused when somebody else has changed what it changes.
fn of_another_moment(problem: Problem, changes: &Changes) -> CommitError {
    let existing = changes.aggregates.iter().find(|change| change.expected != Expected::New);
    match existing {
        Some(change) => CommitError::Conflict { aggregate: change.id, actual: None },
        None => problem.into(),
    }
}

/// Writes changes in a transaction of their own: one call, one round trip.
pub(crate) async fn commit(
    connections: &Connections,
    statements: &Statements,
    changes: &Changes,
) -> Result<CommitOutcome, CommitError> {
    refuse_too_large(changes)?;
    // What goes wrong up to here goes wrong before anything was sent.
    let mut connection = connections.lease(statements).await?;
    connections.refuse_subscribed()?;
    let limit = connections.limits().statement;
    let rows = connection.write(|| statements.commit(changes, None, lock_timeout(limit))).await;
    let rows = rows.map_err(Problem::of_commit)?;
    first(&rows)
        .and_then(row::outcome)
        .map_err(|problem| CommitError::OutcomeUnknown(problem.during("commit")))
}

/// The server closes the connection on a longer message, and does not say why.
fn refuse_too_large(changes: &Changes) -> Result<(), Problem> {
    let events = changes.events.iter().map(|event| event.payload.bytes.len());
    let snapshots = changes.snapshots.iter().map(|snapshot| snapshot.payload.bytes.len());
    let bytes = events.chain(snapshots).fold(0, usize::saturating_add);
    match bytes > MAX_BYTES {
        true => Err(Problem::TooLarge { bytes, most: MAX_BYTES }),
        false => Ok(()),
    }
}

fn first(rows: &[PgRow]) -> Result<&PgRow, Problem> {
    rows.first().ok_or(Problem::NoAnswer)
}
