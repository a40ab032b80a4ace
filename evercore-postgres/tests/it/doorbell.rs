//! Commits of one engine wake those who listen at another.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use evercore::engine::{Listener, StorageEngine, TransactionalEngine};
use evercore_postgres::PostgresEngine;
use sqlx::postgres::PgListener;
use tokio::{net::TcpListener, time::timeout};

use crate::{
    fixtures::{Place, TestResult, Types, commit_new, define, new_id, run, write_new},
    warnings::Warnings,
};

/// Long enough for everything that comes at all.
const LONG: Duration = Duration::from_secs(10);

async fn rings(listener: &mut Listener) {
    timeout(LONG, listener.rung()).await.expect("it rings");
}

/// Hears commits of others from here on: it has rung once, because the connection is there.
async fn listening(engine: &PostgresEngine) -> Listener {
    let mut listener = engine.watch();
    rings(&mut listener).await;
    listener
}

/// Hears the notifications of the store themselves.
async fn notifications(place: &Place) -> PgListener {
    let store: String = sqlx::query_scalar("SELECT id::text FROM evercore.store")
        .fetch_one(&mut place.session().await)
        .await
        .expect("the id of the store");
    let mut listener = PgListener::connect(&place.url()).await.expect("a session");
    listener.listen(&format!("evercore_{store}")).await.expect("it listens");
    listener
}

async fn engine_called(name: &str, place: &Place) -> PostgresEngine {
    let builder = PostgresEngine::builder().url(&place.url()).application_name(name);
    builder.connect().await.expect("the store opens")
}

/// Waits until so many connections have names that begin like this.
async fn connections_called(name: &str, count: i64, place: &Place) {
    let mut session = place.session().await;
    let counted = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND starts_with(application_name, $1)";
    let until_counted = async {
        while sqlx::query_scalar::<_, i64>(counted).bind(name).fetch_one(&mut session).await.expect("a count")
            != count
        {}
    };
    timeout(LONG, until_counted).await.unwrap_or_else(|_| panic!("{count} connections called {name}"));
}

/// Commits in so many tasks at once.
async fn commit_often(engine: &Arc<PostgresEngine>, types: Types, tasks: usize, commits: usize) {
    let committing: Vec<_> = (0..tasks)
        .map(|_| {
            let engine = Arc::clone(engine);
            tokio::spawn(async move {
                for _ in 0..commits {
                    commit_new(&engine, types, 1).await;
                }
            })
        })
        .collect();
    for committed in committing {
        committed.await.expect("it does not panic");
    }
}

#[tokio::test]
async fn a_commit_rings_at_another_engine() -> TestResult {
    let place = Place::new().await;
    let (writer, reader) = (place.engine().await, place.engine().await);
    let types = define(&writer).await;
    let mut listener = listening(&reader).await;
    for _ in 0..10 {
        commit_new(&writer, types, 1).await;
        rings(&mut listener).await;
    }

    let mut transaction = writer.begin().await?;
    write_new(&writer, types, 1, &mut transaction).await;
    writer.finish(transaction).await?;
    rings(&mut listener).await;
    Ok(())
}

#[tokio::test]
async fn a_commit_right_before_the_end_rings_at_another_engine() -> TestResult {
    let place = Place::new().await;
    let (writer, reader) = (place.engine().await, place.engine().await);
    let types = define(&writer).await;
    let mut listener = listening(&reader).await;
    commit_new(&writer, types, 1).await;
    writer.close().await?;
    rings(&mut listener).await;
    Ok(())
}

#[tokio::test]
async fn stores_of_one_database_do_not_ring_at_each_other() -> TestResult {
    let place = Place::new().await;
    let other = PostgresEngine::builder().url(&place.url()).schema("other").connect().await?;
    let engine = Arc::new(place.engine().await);
    let (other_types, types) = (define(&other).await, define(&engine).await);
    let mut notifications = notifications(&place).await;
    commit_new(&other, other_types, 1).await;
    other.close().await?;
    commit_new(&engine, types, 1).await;
    engine.close().await?;
    run(&mut place.session().await, "SELECT pg_notify('evercore_' || id, 'end') FROM evercore.store").await;
    assert_eq!(timeout(LONG, count_to_the_end(&mut notifications)).await?, 1);
    Ok(())
}

/// How many notifications come before the one that says that it is the end.
async fn count_to_the_end(notifications: &mut PgListener) -> u128 {
    let mut count = 0;
    while notifications.recv().await.expect("a notification").payload() != "end" {
        count += 1;
    }
    count
}

#[tokio::test]
async fn many_commits_share_a_notification() -> TestResult {
    let place = Place::new().await;
    let engine = Arc::new(place.engine().await);
    let types = define(&engine).await;
    let mut notifications = notifications(&place).await;
    let start = Instant::now();
    commit_often(&engine, types, 20, 50).await;
    engine.close().await?;
    let most = (start.elapsed().as_millis() / 2 + 1).min(500);
    run(&mut place.session().await, "SELECT pg_notify('evercore_' || id, 'end') FROM evercore.store").await;

    let count = timeout(LONG, count_to_the_end(&mut notifications)).await?;
    assert!((1..=most).contains(&count), "1000 commits were told by {count} notifications, at most {most}");
    Ok(())
}

#[tokio::test]
async fn what_writes_no_events_is_not_told() -> TestResult {
    let place = Place::new().await;
    let engine = engine_called("idle", &place).await;
    define(&engine).await;
    new_id(&engine).await;
    engine.commit(&evercore::engine::Changes::default()).await.expect("an empty commit");
    connections_called("idle doorbell", 0, &place).await;
    let mut notifications = notifications(&place).await;
    engine.close().await?;
    run(&mut place.session().await, "SELECT pg_notify('evercore_' || id, 'end') FROM evercore.store").await;
    assert_eq!(timeout(LONG, count_to_the_end(&mut notifications)).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_listened_and_broke_is_made_again() -> TestResult {
    let place = Place::new().await;
    let (writer, reader) = (place.engine().await, engine_called("reader", &place).await);
    let types = define(&writer).await;
    let mut listener = listening(&reader).await;
    for _ in 0..2 {
        let ended: i64 = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'reader doorbell'",
        )
        .fetch_one(&mut place.session().await)
        .await?;
        assert_eq!(ended, 1);
        // What was committed meanwhile may not have been told.
        rings(&mut listener).await;
        commit_new(&writer, types, 1).await;
        rings(&mut listener).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_that_told_and_broke_is_made_again() -> TestResult {
    let place = Place::new().await;
    let (writer, reader) = (engine_called("writer", &place).await, place.engine().await);
    let types = define(&writer).await;
    let mut listener = listening(&reader).await;
    commit_new(&writer, types, 1).await;
    rings(&mut listener).await;
    run(
        &mut place.session().await,
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'writer doorbell'",
    )
    .await;
    // What is told by the connection that broke is lost.
    let until_it_rings = async {
        loop {
            commit_new(&writer, types, 1).await;
            if timeout(Duration::from_millis(100), listener.rung()).await.is_ok() {
                break;
            }
        }
    };
    timeout(LONG, until_it_rings).await?;
    Ok(())
}

#[tokio::test]
async fn closing_and_dropping_end_all_connections() -> TestResult {
    let place = Place::new().await;
    let (closed, dropped) = (engine_called("closed", &place).await, engine_called("dropped", &place).await);
    for engine in [&closed, &dropped] {
        let types = define(engine).await;
        listening(engine).await;
        commit_new(engine, types, 1).await;
    }
    connections_called("closed doorbell", 2, &place).await;
    connections_called("dropped doorbell", 2, &place).await;

    closed.close().await?;
    connections_called("closed", 0, &place).await;
    let _deaf = closed.watch();
    drop(dropped);
    connections_called("dropped", 0, &place).await;
    connections_called("closed", 0, &place).await;
    Ok(())
}

#[tokio::test]
async fn where_listening_fails_there_is_one_warning_and_all_else_works() -> TestResult {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let place = Place::new().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("postgres://app:s3cret@{}/app", elsewhere.local_addr()?);
    let engine = PostgresEngine::builder().url(&place.url()).listen_url(&url).connect().await?;
    let types = define(&engine).await;
    let mut listener = engine.watch();
    for _ in 0..3 {
        drop(timeout(LONG, elsewhere.accept()).await??);
    }
    let warnings = warnings.texts();
    assert!(matches!(&warnings[..], [one] if one.contains("listening failed")), "{warnings:?}");
    assert!(!warnings[0].contains("s3cret"), "{warnings:?}");

    commit_new(&engine, types, 1).await;
    rings(&mut listener).await;
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_url_to_listen_at_that_is_none_is_an_error() {
    let place = Place::new().await;
    let builder = PostgresEngine::builder().url(&place.url()).listen_url("localhost");
    let error = builder.connect().await.expect_err("it is no URL");
    assert_eq!(error.kind(), evercore::engine::EngineErrorKind::Misconfigured);
}

#[tokio::test]
async fn an_engine_without_listening_tells_and_does_not_listen() -> TestResult {
    let place = Place::new().await;
    let builder = PostgresEngine::builder().url(&place.url()).application_name("deaf").without_listening();
    let (writer, reader) = (builder.connect().await?, place.engine().await);
    let types = define(&writer).await;
    let mut listener = listening(&reader).await;
    let mut own = writer.watch();
    commit_new(&writer, types, 1).await;
    rings(&mut own).await;
    rings(&mut listener).await;
    connections_called("deaf doorbell", 1, &place).await;
    Ok(())
}
