//! The PostgreSQL engine passes the suite.

use evercore::conformance::Harness;
use evercore_postgres::PostgresEngine;
use xtask::postgres::{Database, Server};

/// Keeps a database.
struct Postgres(Database);

impl Harness for Postgres {
    type Engine = PostgresEngine;

    async fn create() -> Self {
        let create = || Server::for_tests().and_then(|server| server.create_database());
        let created = tokio::task::spawn_blocking(create).await.expect("it does not panic");
        Self(created.expect("a database"))
    }

    async fn open(&self) -> PostgresEngine {
        PostgresEngine::connect(&self.0.url()).await.expect("the store opens")
    }
}

evercore::conformance_tests!(Postgres);
evercore::transactional_conformance_tests!(Postgres);
