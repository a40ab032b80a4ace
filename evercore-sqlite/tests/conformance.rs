//! The SQLite engine passes the suite.

use evercore::conformance::Harness;
use evercore_sqlite::SqliteEngine;
use tempfile::TempDir;

/// Keeps the directory of a database file.
struct Sqlite(TempDir);

impl Harness for Sqlite {
    type Engine = SqliteEngine;

    async fn create() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    async fn open(&self) -> SqliteEngine {
        SqliteEngine::builder().path(self.0.path().join("store.db")).connect().await.expect("the store opens")
    }
}

evercore::conformance_tests!(Sqlite);
evercore::transactional_conformance_tests!(Sqlite);
