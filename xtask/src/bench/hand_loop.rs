//! What one writes who has no event store: a query for the next rows, in a loop, without keeping how far it came.

use std::path::Path;

use sqlx::{
    Connection as _, PgConnection, Row as _, SqliteConnection, postgres::PgRow, sqlite::SqliteConnectOptions,
    sqlite::SqliteRow,
};

use super::task::Outcome;

const SQLITE: &str = "
    SELECT
        position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
        codec, payload
    FROM evercore_events WHERE position > $1 ORDER BY position LIMIT $2";

const POSTGRES: &str = "
    SELECT
        position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
        codec, payload
    FROM evercore.events WHERE position > $1 ORDER BY position LIMIT $2";

/// A connection for the loop.
#[derive(Debug)]
pub(super) enum HandLoop {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A row with all that a subscription delivers, but for the names of the types.
#[derive(Debug)]
#[expect(dead_code, reason = "it is made to be handed over, and nobody looks into it")]
pub(super) struct Event {
    pub(super) position: i64,
    aggregate_id: i64,
    aggregate_type_id: i64,
    event_type_id: i64,
    sequence: i64,
    time: i64,
    recorded_at: i64,
    reference: Option<String>,
    metadata: Option<String>,
    codec: i16,
    payload: Vec<u8>,
}

impl HandLoop {
    pub(super) async fn on_file(path: &Path) -> Outcome<Self> {
        let options = SqliteConnectOptions::new().filename(path);
        Ok(Self::Sqlite(SqliteConnection::connect_with(&options).await?))
    }

    pub(super) async fn on_server(url: &str) -> Outcome<Self> {
        Ok(Self::Postgres(PgConnection::connect(url).await?))
    }

    /// Hands all rows after a position over, in pages, and returns how many there were.
    pub(super) async fn run(
        &mut self,
        mut after: i64,
        page: u32,
        mut handler: impl FnMut(&[Event]),
    ) -> Outcome<u32> {
        let mut count = 0;
        loop {
            let events = self.page(after, page).await?;
            let Some(last) = events.last() else { return Ok(count) };
            after = last.position;
            count += u32::try_from(events.len())?;
            handler(&events);
        }
    }

    async fn page(&mut self, after: i64, limit: u32) -> sqlx::Result<Vec<Event>> {
        match self {
            Self::Sqlite(connection) => {
                let rows = sqlx::query(SQLITE).bind(after).bind(limit).fetch_all(connection).await?;
                rows.iter().map(Event::from_sqlite).collect()
            }
            Self::Postgres(connection) => {
                let limit = i64::from(limit);
                let rows = sqlx::query(POSTGRES).bind(after).bind(limit).fetch_all(connection).await?;
                rows.iter().map(Event::from_postgres).collect()
            }
        }
    }
}

impl Event {
    fn from_sqlite(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            position: row.try_get(0)?,
            aggregate_id: row.try_get(1)?,
            aggregate_type_id: row.try_get(2)?,
            event_type_id: row.try_get(3)?,
            sequence: row.try_get(4)?,
            time: row.try_get(5)?,
            recorded_at: row.try_get(6)?,
            reference: row.try_get(7)?,
            metadata: row.try_get(8)?,
            codec: row.try_get(9)?,
            // It is text, and nobody needs it checked.
            payload: row.try_get_unchecked(10)?,
        })
    }

    fn from_postgres(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            position: row.try_get(0)?,
            aggregate_id: row.try_get(1)?,
            aggregate_type_id: row.try_get::<i32, _>(2)?.into(),
            event_type_id: row.try_get::<i32, _>(3)?.into(),
            sequence: row.try_get(4)?,
            // Microseconds since 2000, as the server sends them.
            time: row.try_get_unchecked(5)?,
            recorded_at: row.try_get_unchecked(6)?,
            reference: row.try_get(7)?,
            metadata: row.try_get(8)?,
            codec: row.try_get(9)?,
            payload: row.try_get(10)?,
        })
    }
}
