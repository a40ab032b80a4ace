//! How far the log is settled is written down for readers of copies.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use evercore::{
    Position,
    engine::{EventFilter, LogRead, StorageEngine},
};
use evercore_postgres::PostgresEngine;
use sqlx::PgConnection;

use crate::fixtures::{Place, TestResult, commit_new, define, log, log_after, run};

async fn horizon(session: &mut PgConnection) -> i64 {
    let position = "SELECT position FROM evercore.horizon";
    sqlx::query_scalar(position).fetch_one(session).await.expect("a position")
}

/// Waits until the horizon is there.
async fn becomes(session: &mut PgConnection, position: i64) {
    while horizon(session).await != position {}
}

#[tokio::test]
async fn readers_publish_how_far_the_log_is_settled() -> TestResult {
    let place = Place::new().await;
    let writer = place.engine().await;
    let types = define(&writer).await;
    let mut session = place.session().await;
    for way in 0..4 {
        let last = commit_new(&writer, types, 3).await;
        assert_eq!(horizon(&mut session).await, last.get() - 3, "who only writes publishes nothing");
        let reader = place.engine().await;
        let by_type = EventFilter { event_types: Some([types.created].into()), ..EventFilter::default() };
        match way {
            0 => drop(reader.head().await?),
            1 => drop(log(&reader).await),
            2 => drop(log_after(&reader, by_type, Position::START, 10).await),
            // From the middle: what is before is settled by whoever publishes.
            _ => drop(log_after(&reader, EventFilter::default(), Position::new(last.get() - 1), 10).await),
        }
        becomes(&mut session, last.get()).await;
    }
    Ok(())
}

#[tokio::test]
async fn readers_do_not_wait_for_it() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    commit_new(&engine, types, 2).await;
    let mut busy = place.session().await;
    run(&mut busy, "BEGIN; UPDATE evercore.horizon SET position = 0").await;
    assert_eq!(engine.head().await?, Position::new(2));
    assert_eq!(log(&engine).await.len(), 2);
    let mut session = place.session().await;
    let blocked = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'evercore horizon'
            AND cardinality(pg_blocking_pids(pid)) > 0";
    while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&mut session).await? == 0 {}
    commit_new(&engine, types, 1).await;
    assert_eq!(log(&engine).await.len(), 3);
    run(&mut busy, "ROLLBACK").await;
    becomes(&mut session, 3).await;
    Ok(())
}

#[tokio::test]
async fn it_is_written_later_when_that_fails() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    let mut session = place.session().await;
    run(&mut session, "ALTER TABLE evercore.horizon ADD CONSTRAINT refused CHECK (position = 0)").await;
    commit_new(&engine, types, 2).await;
    assert_eq!(engine.head().await?, Position::new(2));
    let refused = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'evercore horizon' AND state = 'idle'
            AND query LIKE '%published_at%'";
    while sqlx::query_scalar::<_, i64>(refused).fetch_one(&mut session).await? == 0 {}
    run(&mut session, "ALTER TABLE evercore.horizon DROP CONSTRAINT refused").await;
    becomes(&mut session, 2).await;
    Ok(())
}

/// Also what was read last is published.
#[tokio::test]
async fn closing_the_engine_publishes_what_is_left() -> TestResult {
    let place = Place::new().await;
    let writer = place.engine().await;
    let types = define(&writer).await;
    for _ in 0..5 {
        let reader = place.engine().await;
        let mut last = Position::START;
        for _ in 0..3 {
            last = commit_new(&writer, types, 1).await;
            assert_eq!(reader.head().await?, last);
        }
        reader.close().await?;
        assert_eq!(horizon(&mut place.session().await).await, last.get());
    }
    Ok(())
}

#[tokio::test]
async fn it_is_written_seldom_and_only_when_it_moves() -> TestResult {
    let place = Place::new().await;
    let mut session = place.session().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    run(
        &mut session,
        "CREATE TABLE public.writes (at timestamptz);
        CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO public.writes VALUES (clock_timestamp()); RETURN NULL; END';
        CREATE TRIGGER note AFTER UPDATE ON evercore.horizon FOR EACH ROW EXECUTE FUNCTION public.note()",
    )
    .await;
    let begun = Instant::now();
    let (mut reads, mut last) = (0_u32, Position::START);
    while begun.elapsed() < Duration::from_millis(500) {
        last = commit_new(&engine, types, 1).await;
        assert_eq!(engine.head().await?, last);
        reads += 1;
    }
    becomes(&mut session, last.get()).await;
    let longest = begun.elapsed();
    for _ in 0..50 {
        assert_eq!(engine.head().await?, last);
    }
    engine.close().await?;
    let (writes, closest): (i64, Option<f64>) = sqlx::query_as(
        "SELECT count(*), min(pause)::float8 FROM (
            SELECT extract(epoch FROM at - lag(at) OVER (ORDER BY at)) AS pause FROM public.writes
        ) AS pauses",
    )
    .fetch_one(&mut session)
    .await?;
    let most = i64::try_from(longest.as_millis() / 10)? + 1;
    assert!((1..=most).contains(&writes), "{writes} writes for {reads} reads in {longest:?}");
    assert!(closest.is_none_or(|seconds| seconds >= 0.009), "{closest:?}");
    Ok(())
}

#[tokio::test]
async fn a_role_that_only_reads_publishes_nothing() -> TestResult {
    let place = Place::new().await;
    let writer = place.engine().await;
    let types = define(&writer).await;
    commit_new(&writer, types, 2).await;
    let mut session = place.session().await;
    let (role, url) = place.reading_role().await;
    let reader = PostgresEngine::connect(&url).await?;
    assert_eq!(log(&reader).await.len(), 2);
    assert_eq!(reader.head().await?, Position::new(2));
    // That waits for what is to be published.
    reader.close().await?;
    assert_eq!(horizon(&mut session).await, 0);
    run(&mut session, format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    Ok(())
}

/// The statement that publishes, as it is sent to a server on which another event may be at that position by now.
#[tokio::test]
async fn what_is_another_event_there_is_not_published() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    commit_new(&engine, types, 3).await;
    let mut session = place.session().await;
    let publish = include_str!("../../sql/publish.sql").replace("{schema}", "evercore");
    let recorded: String =
        sqlx::query_scalar("SELECT recorded_at::text FROM evercore.events WHERE position = 2")
            .fetch_one(&mut session)
            .await?;
    let second = format!("EXECUTE publish (2, 1, 2, '{recorded}')");
    run(&mut session, format!("PREPARE publish (bigint, bigint, bigint, timestamptz) AS {publish}")).await;
    for (column, value) in [("aggregate_id", "7"), ("sequence", "9"), ("recorded_at", "'1970-01-01'")] {
        let other = format!("BEGIN; UPDATE evercore.events SET {column} = {value} WHERE position = 2");
        run(&mut session, other).await;
        run(&mut session, second.as_str()).await;
        assert_eq!(horizon(&mut session).await, 0, "{column}");
        run(&mut session, "ROLLBACK").await;
    }
    run(&mut session, second.as_str()).await;
    assert_eq!(horizon(&mut session).await, 2);
    // All three were recorded at the same time.
    run(&mut session, format!("EXECUTE publish (1, 1, 1, '{recorded}')")).await;
    assert_eq!(horizon(&mut session).await, 2, "it only grows");
    Ok(())
}

/// Whoever publishes has settled more than the reader beside it has read, and what was lost was not read.
#[tokio::test]
async fn events_that_were_lost_unread_do_not_end_publishing() -> TestResult {
    let place = Place::new().await;
    let writer = place.engine().await;
    let types = define(&writer).await;
    commit_new(&writer, types, 5).await;
    let reader = Arc::new(place.engine().await);
    // In the middle, so that the publisher has to find out what is settled, and finds more.
    let second = LogRead { filter: EventFilter::default(), after: Position::new(1), limit: 1 };
    assert_eq!(reader.read_log(&second).await?.events.len(), 1);
    let mut session = place.session().await;
    becomes(&mut session, 5).await;
    let rewind = "DELETE FROM evercore.events WHERE position > 3;
        SELECT setval('evercore.events_position', 3);
        UPDATE evercore.horizon SET position = 3";
    run(&mut session, rewind).await;
    commit_new(&writer, types, 4).await;
    assert_eq!(log_after(&reader, EventFilter::default(), Position::new(2), 10).await.len(), 5);
    becomes(&mut session, 7).await;
    Ok(())
}
