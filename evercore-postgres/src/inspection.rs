//! What is looked at on every new connection: it may go to another server than the one before.

use sqlx::{Row as _, ValueRef as _, postgres::PgRow};

use crate::{answer::Answer, error::Problem};

/// PostgreSQL 14.1: before, a prepared transaction could change its virtual id while readers wait for it.
const OLDEST: i32 = 140_001;

/// A run of a server: another server, or the same one after it was started again, has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerId(i64);

impl ServerId {
    /// All statements that read the log return it, where that is written. A moment costs the server nothing and is
    /// known to every role.
    const COLUMN: &str = "server_started";

    fn of(row: &PgRow) -> Result<Option<Self>, Problem> {
        let started = row.try_get_raw(Self::COLUMN)?;
        if started.is_null() {
            return Ok(None);
        }
        let micros = <i64 as sqlx::Decode<sqlx::Postgres>>::decode(started).map_err(sqlx::Error::Decode)?;
        Ok(Some(Self(micros)))
    }

    /// Fails when an answer comes from another server. What was inspected, what is known to be settled and who was
    /// seen appending belong to the one before, even when all events are still there: a prepared transaction
    /// goes by another number there.
    pub(crate) fn answered(self, answer: &impl Answer) -> Result<(), Problem> {
        let row = answer.first().filter(|row| row.try_column(Self::COLUMN).is_ok());
        match row.map(Self::of).transpose()?.flatten() {
            Some(other) if other != self => Err(Problem::OtherServer),
            _ => Ok(()),
        }
    }
}

/// What was found on a server that can be trusted.
pub(crate) struct Inspection {
    /// The id of the store.
    pub(crate) store: String,
    /// Whether the log comes here by a subscription. Then the sequence of its positions does not come with it.
    pub(crate) is_subscribed: bool,
}

/// Refuses servers and stores on which the order of the log cannot be kept, and says what was found: from the rows
/// that `inspect` returned.
pub(crate) fn inspect(rows: &[PgRow]) -> Result<(Inspection, ServerId), Problem> {
    let row = rows.first().ok_or(Problem::NoAnswer)?;
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
    let server = ServerId::of(row)?.ok_or(Problem::NoAnswer)?;
    Ok((Inspection { store: row.try_get("store")?, is_subscribed }, server))
}
