//! What is looked at on every new connection: it may go to another server than the one before.

use sqlx::{Row as _, postgres::PgRow};

use crate::error::Problem;

/// PostgreSQL 14.1: before, a prepared transaction could change its virtual id while readers wait for it.
const OLDEST: i32 = 140_001;

/// A run of a server: another server, or the same one after it was started again, has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerId(i64);

impl ServerId {
    fn of(row: &PgRow) -> Result<Self, Problem> {
        let started = row.try_get_raw(Self::COLUMN)?;
        let micros = <i64 as sqlx::Decode<sqlx::Postgres>>::decode(started).map_err(sqlx::Error::Decode)?;
        Ok(Self(micros))
    }

    /// All statements that read the log return it. A moment costs the server nothing and is known to every role.
    const COLUMN: &str = "server_started";

    /// Fails when these rows come from another server. What is known of the log belongs to the one before.
    pub(crate) fn answered(self, rows: &[PgRow]) -> Result<(), Problem> {
        match rows.first() {
            Some(row) if row.try_column(Self::COLUMN).is_ok() && Self::of(row)? != self => {
                Err(Problem::OtherServer)
            }
            _ => Ok(()),
        }
    }
}

/// Refuses servers and stores on which the order of the log cannot be kept, and says which store and server it is:
/// from the rows that `inspect` returned.
pub(crate) fn inspect(rows: &[PgRow]) -> Result<(String, ServerId), Problem> {
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
    if last_drawn < head {
        let repair = format!("SELECT setval('{sequence}', {head})");
        return Err(Problem::SequenceBehind { head, last_drawn, repair });
    }
    Ok((row.try_get("store")?, ServerId::of(row)?))
}
