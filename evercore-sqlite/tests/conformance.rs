//! The SQLite engine passes the suite.

use std::{fs, path::PathBuf};

use evercore::{
    HandlerError, Position,
    conformance::{Harness, archive::ArchiveHarness, crashes::CrashHarness},
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

impl Sqlite {
    fn file(&self) -> PathBuf {
        self.0.path().join("store.db")
    }
}

/// A file that the first release has written, with its schema, and that later ones migrate. Tests work on copies.
const ARCHIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/archive.db");

impl ArchiveHarness for Sqlite {
    async fn restore() -> Self {
        let restored = Self::create().await;
        // Not a copy of the file as it is, which may be read-only.
        fs::write(restored.file(), fs::read(ARCHIVE).expect("the archive")).expect("a copy");
        restored
    }

    async fn keep(self) {
        // Without free pages, and without a write-ahead log beside it.
        let store = rusqlite::Connection::open(self.file()).expect("the file opens");
        store
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
            .expect("one file");
        drop(store);
        fs::copy(self.file(), ARCHIVE).expect("it is kept");
    }
}

impl CrashHarness for Sqlite {
    const KILLS: usize = 20;

    fn address(&self) -> String {
        self.file().display().to_string()
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
evercore::archive_tests!(Sqlite);
evercore::crash_tests!(Sqlite);
