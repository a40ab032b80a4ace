//! Where a run takes place.

use std::{fmt, path::PathBuf};

use evercore::EventStore;
use evercore_postgres::PostgresEngine;
use evercore_sqlite::SqliteEngine;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use super::{hand_loop::HandLoop, plant::Plant, task::Outcome};
use crate::postgres::{Database, Server};

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

/// A new store.
#[derive(Debug)]
pub(super) enum Place {
    Sqlite(TempDir),
    /// With the URL of the server.
    Postgres(Box<Database>, String),
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

impl Place {
    pub(super) fn new(kind: Kind) -> Outcome<Self> {
        Ok(match kind {
            Kind::Sqlite => Self::Sqlite(tempfile::tempdir()?),
            Kind::Postgres => {
                let server = Server::for_measurements()?;
                Self::Postgres(server.create_database()?.into(), server.url())
            }
        })
    }

    /// Opens the store, with the options that an engine has by itself.
    pub(super) async fn open(&self) -> Outcome<EventStore> {
        match self {
            Self::Sqlite(directory) => {
                let engine = SqliteEngine::builder().path(file(directory)).connect().await?;
                Ok(EventStore::open::<Plant>(engine).await?)
            }
            Self::Postgres(database, _) => open_url(&database.url()).await,
        }
    }

    pub(super) async fn hand_loop(&self) -> Outcome<HandLoop> {
        match self {
            Self::Sqlite(directory) => HandLoop::on_file(&file(directory)).await,
            Self::Postgres(database, _) => HandLoop::on_server(&database.url()).await,
        }
    }

    /// Has the server do at once what it would do later, beside the measurements.
    pub(super) async fn settle(&self) -> Outcome {
        if let Self::Postgres(database, _) = self {
            let mut session = PgConnection::connect(&database.url()).await?;
            sqlx::raw_sql("VACUUM (ANALYZE) evercore.events").execute(&mut session).await?;
            sqlx::raw_sql("CHECKPOINT").execute(&mut session).await?;
        }
        Ok(())
    }
}

/// Opens a store on PostgreSQL.
pub(super) async fn open_url(url: &str) -> Outcome<EventStore> {
    let engine = PostgresEngine::builder().url(url).connect().await?;
    Ok(EventStore::open::<Plant>(engine).await?)
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("bench.db")
}
