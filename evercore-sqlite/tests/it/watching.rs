//! Hearing of commits that the engine did not make.

use std::{
    env,
    num::NonZero,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use evercore::engine::{Listener, StorageEngine, TransactionalEngine};
use evercore_sqlite::SqliteEngine;

use crate::fixtures::{Place, TestResult, append, define, new_id};

const FILE: &str = "EVERCORE_SQLITE_TEST_FILE_OF_ANOTHER";

async fn rung(listener: &mut Listener) -> Result<(), tokio::time::error::Elapsed> {
    tokio::time::timeout(Duration::from_secs(10), listener.rung()).await
}

async fn commit(engine: &SqliteEngine) {
    let types = define(engine).await;
    let id = new_id(engine).await;
    engine.commit(&append(types, id, 0, 1)).await.expect("a commit");
}

#[tokio::test]
async fn a_commit_of_another_engine_rings_within_milliseconds() -> TestResult {
    let place = Place::new();
    let (engine, other) = (place.engine().await, place.engine().await);
    let mut listener = engine.watch();
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        commit(&other).await;
        let committed = Instant::now();
        rung(&mut listener).await?;
        fastest = fastest.min(committed.elapsed());
    }
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
    Ok(())
}

/// The test below starts this binary again with a file to write to.
#[tokio::test]
async fn child_that_commits_once() -> TestResult {
    let Ok(url) = env::var(FILE) else { return Ok(()) };
    commit(&SqliteEngine::connect(&url).await?).await;
    Ok(())
}

#[tokio::test]
async fn a_commit_of_another_process_rings() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    for _ in 0..2 {
        let mut listener = engine.watch();
        let child = Command::new(env::current_exe()?)
            .args(["--exact", "watching::child_that_commits_once"])
            .env(FILE, place.url())
            .stdout(Stdio::null())
            .spawn();
        rung(&mut listener).await?;
        assert!(child?.wait()?.success());
        // Nobody listens for a while, and what comes then is heard all the same.
        drop(listener);
    }
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_the_application_commits_by_itself_rings() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut listener = engine.watch();
    let mut transaction = engine.begin().await?;
    engine.commit_in(&append(types, id, 0, 1), &mut transaction).await.expect("written");
    transaction.commit().await?;
    rung(&mut listener).await?;
    Ok(())
}

// The watcher's connection, too, is closed before the writer's, which empties the log.
#[tokio::test]
async fn after_closing_everything_is_in_the_file_of_a_watched_store() -> TestResult {
    for round in 0..50 {
        let place = Place::new();
        let engine =
            SqliteEngine::builder().path(place.path()).readers(NonZero::<usize>::MIN).connect().await?;
        let mut listener = engine.watch();
        let other = place.engine().await;
        commit(&other).await;
        rung(&mut listener).await?;
        other.close().await?;
        commit(&engine).await;
        engine.close().await?;
        assert!(!place.path().with_extension("db-wal").exists(), "round {round}");
    }
    Ok(())
}
