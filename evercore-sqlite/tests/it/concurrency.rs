//! Several tasks, engines and programs on one file.

use std::{
    fs,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use evercore::{
    Payload,
    engine::{CommitError, EngineErrorKind, EventFilter, StorageEngine},
};
use evercore_sqlite::SqliteEngine;
use tokio::task::JoinSet;

use crate::fixtures::{Place, TestResult, append, define, load, log, new_id};

#[tokio::test(flavor = "multi_thread")]
async fn eight_open_a_new_file_at_once() {
    // Without the wait for the change of the journal mode one of a hundred rounds fails.
    for _ in 0..30 {
        let place = Place::new();
        let mut opening = JoinSet::new();
        for _ in 0..8 {
            let url = place.url();
            opening.spawn(async move {
                let engine = SqliteEngine::connect(&url).await.expect("it opens");
                let types = define(&engine).await;
                (types.user, types.created, new_id(&engine).await)
            });
        }
        let opened = opening.join_all().await;
        assert!(opened.iter().all(|(user, created, _)| (user, created) == (&opened[0].0, &opened[0].1)));
        let mut ids: Vec<_> = opened.iter().map(|(_, _, id)| id.get()).collect();
        ids.sort_unstable();
        assert_eq!(ids, (1..=8).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_on_one_file_lose_nothing() -> TestResult {
    let place = Place::new();
    let engines = [Arc::new(place.engine().await), Arc::new(place.engine().await)];
    let types = define(&engines[0]).await;
    let mut writers = JoinSet::new();
    for index in 0..8 {
        let engine = Arc::clone(&engines[index % 2]);
        writers.spawn(async move {
            for _ in 0..50 {
                let id = new_id(&engine).await;
                engine.commit(&append(types, id, 0, 2)).await.expect("a commit");
            }
        });
    }
    writers.join_all().await;
    let first = log(&engines[0], EventFilter::default()).await;
    assert_eq!(first.len(), 8 * 50 * 2);
    assert_eq!(first, log(&engines[1], EventFilter::default()).await);
    assert!(first.is_sorted_by_key(|event| (event.position, event.recorded_at)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_appends_one_wins() {
    let place = Place::new();
    let engines = [place.engine().await, place.engine().await];
    let types = define(&engines[0]).await;
    for _ in 0..20 {
        let id = new_id(&engines[0]).await;
        engines[0].commit(&append(types, id, 0, 1)).await.expect("a commit");
        let change = append(types, id, 1, 3);
        let (first, second) = tokio::join!(engines[0].commit(&change), engines[1].commit(&change));
        let lost = match (first, second) {
            (Ok(_), Err(error)) | (Err(error), Ok(_)) => error,
            both => panic!("exactly one wins: {both:?}"),
        };
        assert!(
            matches!(lost, CommitError::Conflict { actual: Some(actual), .. } if actual.get() == 4),
            "{lost:?}"
        );
        assert_eq!(load(&engines[1], id).await.expect("it exists").events.len(), 4);
    }
}

// SQLite begins its log anew only when nobody reads from it, a moment that reads which overlap can put off for ever.
#[tokio::test]
async fn the_write_ahead_log_stays_short_under_reads_that_overlap() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let mut readers = [place.shell(), place.shell()];
    let (committed, commits) = mpsc::channel();
    let reading = thread::spawn(move || -> rusqlite::Result<()> {
        readers[1].execute_batch("BEGIN; SELECT 1 FROM evercore_events")?;
        // A read ends when there is something new to read, or soon.
        while let Ok(()) | Err(RecvTimeoutError::Timeout) = commits.recv_timeout(Duration::from_millis(2)) {
            readers[0].execute_batch("BEGIN; SELECT 1 FROM evercore_events")?;
            readers[1].execute_batch("COMMIT")?;
            readers.swap(0, 1);
        }
        Ok(())
    });
    let mut longest = 0;
    for _ in 0..150 {
        let id = new_id(&engine).await;
        let mut changes = append(types, id, 0, 1);
        changes.events[0].payload = Payload::encode(&"x".repeat(400_000))?;
        engine.commit(&changes).await.expect("a commit");
        committed.send(())?;
        longest = longest.max(fs::metadata(place.path().with_extension("db-wal"))?.len());
    }
    drop(committed);
    reading.join().expect("no panic")?;
    assert!(longest < 30_000_000, "{longest} of 60 MB");
    Ok(())
}

#[tokio::test]
async fn a_file_that_stays_locked_is_busy_and_usable_afterwards() -> TestResult {
    let place = Place::new();
    let engine =
        SqliteEngine::builder().path(place.path()).busy_timeout(Duration::from_millis(50)).connect().await?;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let changes = append(types, id, 0, 1);

    let stranger = place.shell();
    stranger.execute_batch("BEGIN IMMEDIATE")?;
    let refused = engine.commit(&changes).await;
    let Err(CommitError::Engine(error)) = refused else { panic!("it is locked: {refused:?}") };
    assert_eq!((error.kind(), error.is_temporary()), (EngineErrorKind::Busy, true));
    assert!(load(&engine, id).await.is_none(), "reading does not wait");

    stranger.execute_batch("COMMIT")?;
    engine.commit(&changes).await.expect("a commit");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doorbell_rings_when_events_can_be_read() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut bell = engine.watch();
    let changes = append(types, id, 0, 1);
    let rung = tokio::time::timeout(Duration::from_secs(10), bell.rung());
    let (committed, rung) = tokio::join!(engine.commit(&changes), rung);
    committed.expect("a commit");
    rung?;
    assert!(load(&engine, id).await.is_some());
    Ok(())
}
