//! Servers that are restarted, killed or followed by a standby.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use evercore::{
    AggregateId, Position,
    engine::{
        CommitError, EngineErrorKind, EventFilter, LogRead, StorageEngine, Timestamp, TransactionalEngine,
        TypeNames,
    },
};
use evercore_postgres::PostgresEngine;
use xtask::postgres::{Options, PrivateServer, Server};

use crate::fixtures::{
    Place, TestResult, Types, append, commit_new, define, load, log, new_id, run, write_new,
};

/// What blocks, beside the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> xtask::Result<T> + Send + 'static,
) -> T {
    tokio::task::spawn_blocking(call).await.expect("it does not panic").expect("it works")
}

pub(crate) async fn private() -> Arc<PrivateServer> {
    Arc::new(blocking(|| Server::private(&Options::new())).await)
}

pub(crate) async fn place_on(server: &Arc<PrivateServer>) -> Place {
    let server = Arc::clone(server);
    Place::of(blocking(move || server.create_database()).await)
}

#[tokio::test]
async fn a_standby_serves_aggregates_and_refuses_the_log() -> TestResult {
    let primary = private().await;
    let place = place_on(&primary).await;
    let writer = place.engine().await;
    let types = define(&writer).await;
    let id = new_id(&writer).await;
    writer.commit(&append(types, id, 0, 2)).await.expect("a commit");

    let standby = {
        let primary = Arc::clone(&primary);
        blocking(move || primary.standby(&Options::new())).await
    };
    let url = standby.url();
    let (base, _) = url.rsplit_once('/').ok_or("a URL with a database")?;
    let reader = PostgresEngine::connect(&format!("{base}/{}", place.database())).await?;
    define(&reader).await;
    assert_eq!(load(&reader, id).await.map(|found| found.events.len()), Some(2));

    let everything = LogRead { filter: EventFilter::default(), after: Position::START, limit: 10 };
    let some = EventFilter { event_types: Some([types.created].into()), ..EventFilter::default() };
    let some = LogRead { filter: some, ..everything.clone() };
    let errors = [
        reader.read_log(&everything).await.err(),
        reader.read_log(&some).await.err(),
        reader.head().await.err(),
        reader.locate(Timestamp::now()).await.err(),
    ];
    for error in errors {
        assert_eq!(error.map(|error| error.kind()), Some(EngineErrorKind::Unsupported));
    }
    let unknown = TypeNames { aggregates: vec!["other".into()], events: vec![] };
    assert_eq!(
        reader.define_types(&unknown).await.err().map(|error| error.kind()),
        Some(EngineErrorKind::ReadOnly)
    );
    reader.close().await?;
    Ok(())
}

/// Commits new aggregates until told to stop, and says which were answered and which are in doubt. After an error
/// that says that nothing was done the same one is committed again: had something been done, it would be a conflict.
async fn commit_until(
    engine: Arc<PostgresEngine>,
    types: Types,
    ids: Vec<AggregateId>,
    made: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> (Vec<AggregateId>, Vec<AggregateId>) {
    let (mut answered, mut in_doubt) = (Vec::new(), Vec::new());
    let mut ids = ids.into_iter();
    let mut next = ids.next();
    while let Some(id) = next.filter(|_| !stop.load(Ordering::SeqCst)) {
        match engine.commit(&append(types, id, 0, 3)).await {
            Ok(_) => {
                made.fetch_add(1, Ordering::SeqCst);
                answered.push(id);
                next = ids.next();
            }
            Err(CommitError::OutcomeUnknown(_)) => {
                in_doubt.push(id);
                next = ids.next();
            }
            Err(CommitError::Engine(error)) if error.is_temporary() => tokio::task::yield_now().await,
            Err(error) => panic!("{error:?}"),
        }
    }
    (answered, in_doubt)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed_under_load_keeps_what_it_answered() -> TestResult {
    const WRITERS: usize = 4;
    let server = private().await;
    let place = place_on(&server).await;
    let engine = Arc::new(place.engine().await);
    let types = define(&engine).await;
    let (made, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let first = engine.reserve_ids(100_000).await?.first.get();
        let ids = (first..first + 100_000).map(AggregateId::new).collect();
        let (engine, made, stop) = (Arc::clone(&engine), Arc::clone(&made), Arc::clone(&stop));
        writers.push(tokio::spawn(commit_until(engine, types, ids, made, stop)));
    }
    let wait_for = async |count: usize| {
        while made.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    };
    wait_for(200).await;
    for kill in [true, false] {
        let server = Arc::clone(&server);
        let restart = move || {
            if kill {
                server.kill_9()?;
            }
            server.restart()
        };
        blocking(restart).await;
        // The engine goes on by itself.
        let before = made.load(Ordering::SeqCst);
        wait_for(before + 200).await;
    }
    stop.store(true, Ordering::SeqCst);

    let mut doubts = 0;
    for writer in writers {
        let (answered, in_doubt) = writer.await?;
        doubts += in_doubt.len();
        for id in answered {
            let found = load(&engine, id).await.map(|found| found.events.len());
            assert_eq!(found, Some(3), "it was answered");
        }
        for id in in_doubt {
            let found = load(&engine, id).await.map(|found| found.events.len());
            assert!(matches!(found, None | Some(3)), "all or nothing");
        }
    }
    assert!(doubts > 0, "some commits were under way");
    Ok(())
}

#[tokio::test]
async fn a_prepared_transaction_is_waited_for_also_after_a_restart() -> TestResult {
    let server = private().await;
    let place = place_on(&server).await;
    let engine = Arc::new(place.engine().await);
    let types = define(&engine).await;
    let mut late = engine.begin().await?;
    write_new(&engine, types, 1, &mut late).await;
    sqlx::query("PREPARE TRANSACTION 'late'").execute(&mut *late).await?;
    drop(late);
    commit_new(&engine, types, 1).await;
    for restart in [true, false] {
        if restart {
            let server = Arc::clone(&server);
            blocking(move || server.restart()).await;
        }
        let reader = Arc::new(place.engine().await);
        let reading = {
            let reader = Arc::clone(&reader);
            tokio::spawn(async move { log(&reader).await.len() })
        };
        place.is_asked_who_is_appending(&reading).await;
        if restart {
            reading.abort();
            continue;
        }
        run(&mut place.session().await, "COMMIT PREPARED 'late'").await;
        assert_eq!(reading.await?, 2);
    }
    Ok(())
}
