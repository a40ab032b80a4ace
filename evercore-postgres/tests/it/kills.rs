//! Servers and sessions that are killed while they commit, and what idempotency keys find out then.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use evercore::{
    AggregateId,
    engine::{Changes, CommitError, CommitOutcome, EngineError, EngineErrorKind, Idempotency, StorageEngine},
};
use evercore_postgres::{PostgresEngine, PostgresEngineBuilder};
use xtask::postgres::PrivateServer;

use crate::{
    fixtures::{Place, TestResult, Types, append, define, load, new_id, run},
    servers::{blocking, place_on, private},
};

/// Three events for a new aggregate, under a key.
fn once(types: Types, id: AggregateId) -> Changes {
    let idempotency = Idempotency { key: format!("order-{id}"), receipt: "a receipt".into() };
    Changes { idempotency: Some(idempotency), ..append(types, id, 0, 3) }
}

/// Commits until the server says what became of it.
async fn resolve(engine: &PostgresEngine, changes: &Changes) -> CommitOutcome {
    loop {
        match engine.commit(changes).await {
            Ok(outcome) => return outcome,
            Err(CommitError::OutcomeUnknown(_)) => {}
            Err(CommitError::Engine(error)) if error.is_temporary() => tokio::task::yield_now().await,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// What ends the process that is about to commit.
type Kill = fn(&PrivateServer, i32) -> xtask::Result;

async fn a_commit_is_interrupted_by(
    kill: Kill,
    how: fn(&Place) -> PostgresEngineBuilder,
) -> Result<CommitError, Box<dyn Error>> {
    let server = private().await;
    let place = place_on(&server).await;
    let engine = Arc::new(how(&place).connect().await?);
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let (mut busy, mut session) = (place.session().await, place.session().await);
    // Everything but the last step is done then: the key is claimed and the aggregate is there.
    run(&mut busy, "BEGIN; LOCK TABLE evercore.events").await;
    let committing = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.commit(&once(types, id)).await })
    };
    let blocked = "SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";
    let process = loop {
        if let Some(process) = sqlx::query_scalar::<_, i32>(blocked).fetch_optional(&mut session).await? {
            break process;
        }
    };
    let killing = Arc::clone(&server);
    blocking(move || kill(&killing, process)).await;
    let interrupted = committing.await?.expect_err("nobody answered");
    let first = resolve(&engine, &once(types, id)).await;
    assert!(matches!(first, CommitOutcome::Committed { .. }), "nothing was left of it: {first:?}");
    let second = resolve(&engine, &once(types, id)).await;
    assert!(matches!(second, CommitOutcome::Repeated(_)), "{second:?}");
    assert_eq!(load(&engine, id).await.map(|found| found.events.len()), Some(3));
    Ok(interrupted)
}

fn is_connection_lost(error: &EngineError) -> bool {
    error.kind() == EngineErrorKind::ConnectionLost
}

const KILL_PROCESS: Kill = |server, process| server.kill_backend_9(process);

#[tokio::test]
async fn a_commit_whose_process_is_killed_is_found_out_by_its_key() -> TestResult {
    let how = |place: &Place| PostgresEngine::builder().url(&place.url());
    let error = a_commit_is_interrupted_by(KILL_PROCESS, how).await?;
    assert!(matches!(&error, CommitError::OutcomeUnknown(error) if is_connection_lost(error)), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_commit_whose_process_is_killed_before_it_was_told_to_commit_wrote_nothing() -> TestResult {
    let how = |place: &Place| PostgresEngine::builder().url(&place.url()).without_prepared_statements();
    let error = a_commit_is_interrupted_by(KILL_PROCESS, how).await?;
    assert!(matches!(&error, CommitError::Engine(error) if is_connection_lost(error)), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_commit_whose_server_is_killed_is_found_out_by_its_key() -> TestResult {
    let kill: Kill = |server, _| {
        server.kill_9()?;
        server.restart()
    };
    let how = |place: &Place| PostgresEngine::builder().url(&place.url());
    let error = a_commit_is_interrupted_by(kill, how).await?;
    assert!(matches!(&error, CommitError::OutcomeUnknown(error) if is_connection_lost(error)), "{error:?}");
    Ok(())
}

/// The server is gone, so that no other connection can be made either.
#[tokio::test]
async fn a_commit_that_could_not_begin_wrote_nothing() -> TestResult {
    let server = private().await;
    let place = place_on(&server).await;
    let builder = PostgresEngine::builder().url(&place.url()).without_prepared_statements();
    let engine = builder.connect().await?;
    let changes = append(define(&engine).await, new_id(&engine).await, 0, 1);
    blocking(move || server.shut_down()).await;
    let error = engine.commit(&changes).await.expect_err("nobody answers");
    assert!(matches!(&error, CommitError::Engine(error) if is_connection_lost(error)), "{error:?}");
    Ok(())
}

#[derive(Default)]
struct Made {
    count: AtomicUsize,
    stop: AtomicBool,
}

/// Commits new aggregates until told to stop, finds out what became of those in doubt, and says how many those were.
async fn commit_until(
    engine: Arc<PostgresEngine>,
    types: Types,
    ids: Vec<AggregateId>,
    made: Arc<Made>,
) -> (Vec<AggregateId>, usize) {
    let (mut written, mut doubts) = (Vec::new(), 0);
    for id in ids {
        if made.stop.load(Ordering::SeqCst) {
            break;
        }
        let changes = once(types, id);
        match engine.commit(&changes).await {
            Ok(outcome) => {
                assert!(matches!(outcome, CommitOutcome::Committed { .. }), "nobody wrote it before");
            }
            Err(CommitError::OutcomeUnknown(_)) => {
                doubts += 1;
                resolve(&engine, &changes).await;
            }
            // Nothing was done: so the next answer is no repetition.
            Err(CommitError::Engine(error)) if error.is_temporary() => {
                assert!(engine.find_commit(&format!("order-{id}")).await.unwrap_or(None).is_none());
                resolve(&engine, &changes).await;
            }
            Err(error) => panic!("{error:?}"),
        }
        written.push(id);
        made.count.fetch_add(1, Ordering::SeqCst);
    }
    (written, doubts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_every_commit_in_doubt_is_found_out_by_its_key() -> TestResult {
    let server = private().await;
    let place = place_on(&server).await;
    let engine = Arc::new(place.engine().await);
    let types = define(&engine).await;
    let made = Arc::new(Made::default());
    let mut writers = Vec::new();
    for _ in 0..4 {
        let first = engine.reserve_ids(100_000).await?.first.get();
        let ids = (first..first + 100_000).map(AggregateId::new).collect();
        writers.push(tokio::spawn(commit_until(Arc::clone(&engine), types, ids, Arc::clone(&made))));
    }
    for kill in [false, true, false] {
        let until = made.count.load(Ordering::SeqCst) + 150;
        while made.count.load(Ordering::SeqCst) < until {
            tokio::task::yield_now().await;
        }
        let server = Arc::clone(&server);
        let restart = move || {
            if kill {
                server.kill_9()?;
            }
            server.restart()
        };
        blocking(restart).await;
    }
    made.stop.store(true, Ordering::SeqCst);
    let (mut all, mut in_doubt) = (0, 0);
    for writer in writers {
        let (written, doubts) = writer.await?;
        in_doubt += doubts;
        all += written.len();
        for id in written {
            assert_eq!(load(&engine, id).await.map(|found| found.events.len()), Some(3));
        }
    }
    assert!(in_doubt > 0, "some commits were under way");
    let counts =
        "SELECT (SELECT count(*) FROM evercore.events) = 3 * (SELECT count(*) FROM evercore.aggregates)
        AND (SELECT count(*) FROM evercore.aggregates) = $1";
    let nothing_else: bool =
        sqlx::query_scalar(counts).bind(i64::try_from(all)?).fetch_one(&mut place.session().await).await?;
    assert!(nothing_else, "each was written once, and nothing else was");
    Ok(())
}
