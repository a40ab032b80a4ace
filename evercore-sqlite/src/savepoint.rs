//! Writing inside a transaction of the application: what is refused is undone, should the caller commit all the same.

use sqlx::SqliteConnection;

use crate::{driver::Connection as _, engine::SqliteEngine, error::Problem, statements};

/// Begins to write, if the transaction is one of the engine's database.
pub(crate) async fn begin(connection: &mut SqliteConnection, engine: &SqliteEngine) -> Result<(), Problem> {
    let transaction = statements::database(connection).await?;
    if transaction != engine.database() {
        return Err(Problem::OtherDatabase { transaction, store: engine.database().to_owned() });
    }
    connection.execute(statements::SAVEPOINT, &[]).await.map(drop)
}

/// Keeps what was written, or undoes it after an error.
pub(crate) async fn end<T, E: From<Problem>>(
    connection: &mut SqliteConnection,
    written: Result<T, E>,
) -> Result<T, E> {
    if written.is_err()
        && let Err(problem) = connection.execute(statements::ROLLBACK_TO_SAVEPOINT, &[]).await
    {
        // After some errors SQLite has ended the whole transaction by itself.
        tracing::debug!(%problem, "there is nothing to undo");
        return written;
    }
    connection.execute(statements::RELEASE_SAVEPOINT, &[]).await?;
    written
}
