//! How a statement is sent.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{answer::Answer, error::Problem, statements::Query};

/// How statements are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    /// Each by itself, prepared once on each connection: one round trip.
    Prepared,
    /// Each in a transaction of its own, in which it is prepared under no name: four round trips. That is for poolers
    /// that put another session behind a connection for each transaction and do not know what was prepared on
    /// the one before.
    InTransactions,
}

/// How far a call came that was given up or failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// The statement was not sent.
    #[default]
    Beginning,
    /// The statement was sent, but what it wrote cannot have been committed.
    Statement,
    /// What it wrote may have been committed.
    Commit,
}

impl Calls {
    /// Makes the connection ready for one statement. Nothing that anybody could see is done by this.
    pub(crate) async fn begin(self, connection: &mut PgConnection, limit: Duration) -> Result<(), Problem> {
        match self {
            Self::Prepared => Ok(()),
            // Each statement sees what was committed before it, as if it were alone. The server ends one that
            // takes too long; this setting goes with the transaction.
            Self::InTransactions => {
                let patience = milliseconds(server_limit(limit));
                let begin =
                    format!("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {patience}");
                run(connection, &begin).await
            }
        }
    }

    /// Runs one statement on a connection that is ready for it.
    pub(crate) async fn fetch<A: Answer>(
        self,
        connection: &mut PgConnection,
        query: Query<'_>,
        reached: &mut Reached,
    ) -> Result<A, Problem> {
        if self == Self::Prepared {
            *reached = Reached::Commit;
            return collect(query, connection).await;
        }
        *reached = Reached::Statement;
        match collect(query.persistent(false), connection).await {
            Ok(answer) => {
                *reached = Reached::Commit;
                run(connection, "COMMIT").await?;
                Ok(answer)
            }
            Err(problem) => {
                // If that fails, the next one to begin a transaction on this connection finds it broken.
                if !problem.is_of_connection()
                    && let Err(error) = run(connection, "ROLLBACK").await
                {
                    tracing::debug!(%error, "a transaction was not rolled back");
                }
                Err(problem)
            }
        }
    }

    /// The same for a statement in a transaction that is there already.
    pub(crate) fn within(self, query: Query<'_>) -> Query<'_> {
        query.persistent(self == Self::Prepared)
    }
}

/// Takes all rows, also after one that cannot be: the connection is ready for another statement then.
async fn collect<A: Answer>(query: Query<'_>, connection: &mut PgConnection) -> Result<A, Problem> {
    let (mut answer, mut added) = (A::default(), Ok(()));
    let mut rows = query.fetch(connection);
    while let Some(row) = rows.try_next().await? {
        if added.is_ok() {
            added = answer.add(row);
        }
    }
    added.map(|()| answer)
}

/// How long the server may take for a statement, or wait for a lock: a little shorter than anybody waits for its
/// answer, which says then that nothing was written.
fn server_limit(limit: Duration) -> Duration {
    limit - limit / 8
}

/// As the server's settings want them; 0 would be no limit at all.
fn milliseconds(limit: Duration) -> i32 {
    i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1)
}

/// The longest that a statement waits for a lock, as text.
pub(crate) fn lock_timeout(limit: Duration) -> String {
    milliseconds(server_limit(limit)).to_string()
}

/// Runs statements that have no parameters, with nothing prepared: one round trip.
pub(crate) async fn run(connection: &mut PgConnection, text: &str) -> Result<(), Problem> {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::lock_timeout;

    #[test]
    fn the_server_gives_up_a_little_earlier_and_never_waits_for_ever() {
        let texts = [Duration::from_secs(8), Duration::ZERO, Duration::MAX].map(lock_timeout);
        assert_eq!(texts, ["7000", "1", "2147483647"]);
    }
}
