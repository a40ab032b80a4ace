//! The PostgreSQL engine passes the suite.

#[path = "it/database.rs"]
mod database;

use std::fs;

use evercore::{
    HandlerError, Position,
    conformance::{Harness, archive::ArchiveHarness, crashes::CrashHarness},
};
use evercore_postgres::PostgresEngine;
use sqlx::{Connection as _, PgConnection, Transaction};
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
        Self::connect(&self.address()).await
    }
}

/// A dump of a schema that the first release has written, with its functions, and that later ones migrate.
const ARCHIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/archive.sql");

impl ArchiveHarness for Postgres {
    async fn restore() -> Self {
        let restored = Self::create().await;
        let mut session = PgConnection::connect(&restored.address()).await.expect("a session");
        let archive = fs::read_to_string(ARCHIVE).expect("the archive");
        sqlx::raw_sql(sqlx::AssertSqlSafe(archive)).execute(&mut session).await.expect("it is restored");
        session.close().await.expect("it is closed");
        restored
    }

    async fn keep(self) {
        fs::write(ARCHIVE, self.0.dump("evercore").expect("a dump")).expect("it is kept");
    }
}

impl CrashHarness for Postgres {
    const KILLS: usize = 10;

    fn address(&self) -> String {
        self.0.url()
    }

    async fn connect(address: &str) -> PostgresEngine {
        PostgresEngine::connect(address).await.expect("the store opens")
    }

    async fn create_table(engine: &PostgresEngine) {
        let create = "CREATE TABLE handled (position bigint NOT NULL)";
        sqlx::query(create).execute(engine.pool()).await.expect("a table");
    }

    async fn insert(
        position: Position,
        transaction: &mut Transaction<'static, sqlx::Postgres>,
    ) -> Result<(), HandlerError> {
        let insert = sqlx::query("INSERT INTO handled VALUES ($1)").bind(position.get());
        insert.execute(&mut **transaction).await?;
        Ok(())
    }

    async fn positions(engine: &PostgresEngine) -> Vec<Position> {
        let positions = sqlx::query_scalar("SELECT position FROM handled").fetch_all(engine.pool()).await;
        positions.expect("positions").into_iter().map(Position::new).collect()
    }
}

evercore::conformance_tests!(Postgres);
evercore::transactional_conformance_tests!(Postgres);
evercore::archive_tests!(Postgres);
evercore::crash_tests!(Postgres);

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
