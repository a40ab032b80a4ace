//! The SQLite engine passes the suite.

use evercore::{
    HandlerError, Position,
    conformance::{Harness, crashes::CrashHarness},
};
use evercore_sqlite::SqliteEngine;
use sqlx::Transaction;
use tempfile::TempDir;

/// Keeps the directory of a database file.
struct Sqlite(TempDir);

impl Harness for Sqlite {
    type Engine = SqliteEngine;

    async fn create() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    async fn open(&self) -> SqliteEngine {
        Self::connect(&self.address()).await
    }
}

impl CrashHarness for Sqlite {
    const KILLS: usize = 20;

    fn address(&self) -> String {
        self.0.path().join("store.db").display().to_string()
    }

    async fn connect(address: &str) -> SqliteEngine {
        SqliteEngine::builder().path(address).connect().await.expect("the store opens")
    }

    async fn create_table(engine: &SqliteEngine) {
        let create = "CREATE TABLE handled (position INTEGER NOT NULL)";
        sqlx::query(create).execute(engine.pool()).await.expect("a table");
    }

    async fn insert(
        position: Position,
        transaction: &mut Transaction<'static, sqlx::Sqlite>,
    ) -> Result<(), HandlerError> {
        let insert = sqlx::query("INSERT INTO handled VALUES (?1)").bind(position.get());
        insert.execute(&mut **transaction).await?;
        Ok(())
    }

    async fn positions(engine: &SqliteEngine) -> Vec<Position> {
        let positions = sqlx::query_scalar("SELECT position FROM handled").fetch_all(engine.pool()).await;
        positions.expect("positions").into_iter().map(Position::new).collect()
    }
}

evercore::conformance_tests!(Sqlite);
evercore::transactional_conformance_tests!(Sqlite);
evercore::crash_tests!(Sqlite);
