//! The PostgreSQL engine passes the suite.

#[path = "it/database.rs"]
mod database;

use evercore::conformance::Harness;
use evercore_postgres::PostgresEngine;

use self::database::OwnDatabase;

/// Keeps a database.
struct Postgres(OwnDatabase);

impl Harness for Postgres {
    type Engine = PostgresEngine;

    async fn create() -> Self {
        Self(OwnDatabase::create().await)
    }

    async fn open(&self) -> PostgresEngine {
        PostgresEngine::connect(&self.0.url()).await.expect("the store opens")
    }
}

evercore::conformance_tests!(Postgres);
evercore::transactional_conformance_tests!(Postgres);
