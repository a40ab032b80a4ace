//! Opening a store where the program is told to.

use evercore::{EventStore, Registry, Result};
use evercore_postgres::PostgresEngine;
use evercore_sqlite::SqliteEngine;

/// Opens the store at `postgres://…` or `postgresql://…`, at `sqlite:…`, or in the SQLite file of this path.
pub(crate) async fn connect<R: Registry>(url: &str) -> Result<EventStore> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("postgres" | "postgresql") => EventStore::open::<R>(PostgresEngine::connect(url).await?).await,
        Some("sqlite") => EventStore::open::<R>(SqliteEngine::connect(url).await?).await,
        _ => EventStore::open::<R>(SqliteEngine::builder().path(url).connect().await?).await,
    }
}
