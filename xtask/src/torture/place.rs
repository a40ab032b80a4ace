//! Where a run takes place.

use std::num::NonZero;

use evercore::EventStore;
use evercore_postgres::{PostgresEngine, PostgresEngineBuilder};
use sqlx::{Connection as _, PgConnection};

use super::{bank::Bank, task::Outcome};
use crate::postgres::{Database, Server};

/// A new store.
#[derive(Debug)]
pub(super) struct Place(Database);

impl Place {
    pub(super) fn new(server: &Server) -> Outcome<Self> {
        Ok(Self(server.create_database()?))
    }

    /// How to open the store, with so many connections.
    pub(super) fn builder(&self, connections: u32) -> PostgresEngineBuilder {
        let connections = NonZero::new(connections).unwrap_or(NonZero::<u32>::MIN);
        PostgresEngine::builder().url(&self.0.url()).pool_size(connections)
    }

    /// A session as another program has it.
    pub(super) async fn session(&self) -> Outcome<PgConnection> {
        Ok(PgConnection::connect(&self.0.url()).await?)
    }
}

/// Opens a store as a process of its own does.
pub(super) async fn open(builder: PostgresEngineBuilder) -> Outcome<EventStore> {
    Ok(EventStore::open::<Bank>(builder.connect().await?).await?)
}

/// The engine that a store runs on.
pub(super) fn engine(store: &EventStore) -> Outcome<&PostgresEngine> {
    Ok(store.engine::<PostgresEngine>().ok_or("the store does not run on PostgreSQL")?)
}
