//! What is looked at on every new connection: it may go to another server than the one before.

use sqlx::{PgConnection, Row as _};

use crate::{error::Problem, statements::Statements};

/// PostgreSQL 14.1: before, a prepared transaction could change its virtual id while readers wait for it.
const OLDEST: i32 = 140_001;

/// What was found on a server that can be trusted.
pub(crate) struct Inspection {
    /// The id of the store.
    pub(crate) store: String,
    /// Whether the log comes here by a subscription. Then the sequence of its positions does not come with it.
    pub(crate) is_subscribed: bool,
}

/// Refuses servers and stores on which the order of the log cannot be kept.
pub(crate) async fn inspect(
    connection: &mut PgConnection,
    statements: &Statements,
) -> Result<Inspection, Problem> {
    let row = statements.inspect().fetch_one(connection).await?;
    let version: i32 = row.try_get("server_version")?;
    if version < OLDEST {
        return Err(Problem::OldServer(version));
    }
    let encoding: String = row.try_get("encoding")?;
    if encoding != "UTF8" {
        return Err(Problem::Encoding(encoding));
    }
    let sequence: String = row.try_get("sequence")?;
    let (increment, cache): (i64, i64) = (row.try_get("increment")?, row.try_get("cache")?);
    if increment != 1 || cache != 1 || row.try_get("cycle")? {
        return Err(Problem::Sequence(sequence));
    }
    let (head, last_drawn): (i64, i64) = (row.try_get("head")?, row.try_get("last_drawn")?);
    let is_subscribed: bool = row.try_get("is_subscribed")?;
    if last_drawn < head && !is_subscribed {
        let repair = format!("SELECT setval('{sequence}', {head})");
        return Err(Problem::SequenceBehind { head, last_drawn, repair });
    }
    Ok(Inspection { store: row.try_get("store")?, is_subscribed })
}
