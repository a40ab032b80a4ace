//! Where readers start: at the end of the log or at a time, also while there are open writers.

use std::sync::Arc;

use evercore::{
    Position,
    engine::{EventFilter, StorageEngine, Timestamp, TransactionalEngine},
};
use evercore_postgres::PostgresEngine;

use crate::fixtures::{Place, TestResult, commit_new, define, log_after, run, write_new};

/// A store with as many events, recorded at as many seconds after 1970 as an expression over `n` says.
async fn filled(place: &Place, events: u32, seconds: &str) -> PostgresEngine {
    let engine = place.engine().await;
    define(&engine).await;
    let fill = format!(
        "INSERT INTO evercore.events (aggregate_id, sequence, time, recorded_at, aggregate_type_id, event_type_id, codec, payload)
            SELECT 1000 + n, 1, now(), timestamptz '1970-01-01 00:00:00+00' + interval '1 s' * ({seconds}), 1, 1, 1, '1'
            FROM generate_series(1, {events}) AS n;
        ANALYZE evercore.events"
    );
    run(&mut place.session().await, fill).await;
    engine
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000).expect("a time")
}

async fn positions_after(engine: &PostgresEngine, after: Position) -> Vec<i64> {
    let events = log_after(engine, EventFilter::default(), after, 100).await;
    events.iter().map(|event| event.position.get()).collect()
}

/// A commit of many events is recorded when it begins, and others fall in between.
#[tokio::test]
async fn a_time_is_found_before_what_was_recorded_earlier_and_came_later() -> TestResult {
    let place = Place::new().await;
    let engine = filled(&place, 250_000, "CASE n WHEN 10 THEN 1 ELSE 0 END").await;
    assert_eq!(engine.locate(second(0)).await?, Position::START);
    assert_eq!(engine.locate(second(1)).await?, Position::new(9));
    assert_eq!(engine.locate(second(2)).await?, Position::new(250_000));
    Ok(())
}

#[tokio::test]
async fn every_time_of_a_log_is_found_where_it_begins() -> TestResult {
    let place = Place::new().await;
    // Three events a minute, and of each ten the first has been recorded three minutes late.
    let engine = filled(&place, 300, "n / 3 * 60 + CASE n % 10 WHEN 0 THEN 180 ELSE 0 END").await;
    let recorded: Vec<_> = log_after(&engine, EventFilter::default(), Position::START, 1_000).await;
    for minute in (-3..110).rev() {
        let since = second(minute * 60);
        let first = recorded.iter().find(|event| event.recorded_at >= since);
        let expected = first.map_or(300, |event| event.position.get() - 1);
        assert_eq!(engine.locate(since).await?, Position::new(expected), "minute {minute}");
    }
    Ok(())
}

#[tokio::test]
async fn what_commits_after_the_end_was_found_comes_after_it() -> TestResult {
    let place = Place::new().await;
    let (writer, reader) = (place.engine().await, place.engine().await);
    let types = define(&writer).await;
    commit_new(&writer, types, 1).await;
    let mut late = writer.begin().await?;
    assert_eq!(write_new(&writer, types, 1, &mut late).await, Position::new(2));
    let end = reader.head().await?;
    assert_eq!(end, Position::new(1), "there is nothing behind the open one to wait for it");
    commit_new(&writer, types, 1).await;
    writer.finish(late).await?;
    assert_eq!(positions_after(&reader, end).await, [2, 3]);
    Ok(())
}

#[tokio::test]
async fn a_time_is_found_before_an_event_that_was_recorded_then_and_committed_late() -> TestResult {
    let place = Place::new().await;
    let (writer, reader) = (place.engine().await, Arc::new(place.engine().await));
    let types = define(&writer).await;
    let since = Timestamp::now();
    let mut late = writer.begin().await?;
    write_new(&writer, types, 1, &mut late).await;
    commit_new(&writer, types, 1).await;
    let locating = {
        let reader = Arc::clone(&reader);
        tokio::spawn(async move { reader.locate(since).await })
    };
    place.is_asked_who_is_appending(&locating).await;
    writer.finish(late).await?;
    let start = locating.await??;
    assert_eq!(start, Position::START);
    assert_eq!(positions_after(&reader, start).await, [1, 2]);
    Ok(())
}
