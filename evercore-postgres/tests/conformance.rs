//! The PostgreSQL engine passes the suite.

#[path = "it/database.rs"]
mod database;

use evercore::conformance::Harness;
use evercore_postgres::PostgresEngine;
use xtask::postgres::{PgBouncer, Statements};

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

/// Behind a pooler that gives every transaction another session and knows no prepared statements, where there is one.
mod behind_an_old_pooler {
    use super::{Harness, OwnDatabase, PgBouncer, PostgresEngine, Statements};

    struct BehindPooler {
        database: OwnDatabase,
        pooler: Option<PgBouncer>,
    }

    impl Harness for BehindPooler {
        type Engine = PostgresEngine;

        async fn create() -> Self {
            let database = OwnDatabase::create_for_pooler().await;
            let pooler = PgBouncer::before(&database, Statements::Unknown, 20).expect("it starts");
            Self { database, pooler }
        }

        async fn open(&self) -> PostgresEngine {
            let url = self.pooler.as_ref().map_or_else(|| self.database.url(), PgBouncer::url);
            let builder = PostgresEngine::builder().url(&url).without_prepared_statements();
            builder.listen_url(&self.database.url()).connect().await.expect("the store opens")
        }
    }

    evercore::conformance_tests!(BehindPooler);
    evercore::transactional_conformance_tests!(BehindPooler);
}
