//! Finding events by their types, rare and frequent ones.

use evercore::{
    AggregateTypeId, EventTypeId, Position,
    engine::{EventFilter, LogRead, StorageEngine},
};
use evercore_postgres::PostgresEngine;

use crate::fixtures::{Place, TestResult, define, log_after, run};

/// A store with events 1 to n, of the types that expressions over `n` say.
async fn filled(place: &Place, events: u32, types: &str) -> PostgresEngine {
    let engine = place.engine().await;
    define(&engine).await;
    let fill = format!(
        "INSERT INTO evercore.events (aggregate_id, sequence, time, recorded_at, aggregate_type_id, event_type_id, codec, payload)
            SELECT 1000 + n, 1, now(), now(), {types}, 1, '1' FROM generate_series(1, {events}) AS n;
        ANALYZE evercore.events"
    );
    run(&mut place.session().await, fill).await;
    engine
}

/// Filters by each pair of sets of types, `None` among them; also types that no event has.
fn filters() -> impl Iterator<Item = EventFilter> {
    let sets: [Option<Vec<i64>>; 6] =
        [None, Some(vec![]), Some(vec![1]), Some(vec![2, 9]), Some(vec![3, 2]), Some(vec![1, 2, 3, 4])];
    let pairs: Vec<_> = sets.iter().flat_map(|one| sets.iter().map(move |other| (one, other))).collect();
    let pairs: Vec<_> = pairs.into_iter().map(|(one, other)| (one.clone(), other.clone())).collect();
    pairs.into_iter().map(|(aggregates, events)| EventFilter {
        aggregate_types: aggregates.map(|ids| ids.into_iter().map(AggregateTypeId::new).collect()),
        event_types: events.map(|ids| ids.into_iter().map(EventTypeId::new).collect()),
        aggregate: None,
    })
}

#[tokio::test]
async fn rare_and_frequent_events_are_found_alike() -> TestResult {
    let place = Place::new().await;
    // Types 1 and 2 are frequent, 3 is rare; the beginning of the log is not like the rest.
    let types = "CASE WHEN n % 97 = 0 THEN 3 ELSE 1 + n / 2 % 2 END, CASE WHEN n < 200 OR n % 89 = 0 THEN 3 ELSE 1 + n % 2 END";
    let engine = filled(&place, 3_000, types).await;
    let all = log_after(&engine, EventFilter::default(), Position::START, 1_000).await;
    assert_eq!(all.len(), 3_000);
    for filter in filters() {
        let expected: Vec<_> = all.iter().filter(|event| filter.allows(event)).cloned().collect();
        for (after, limit) in [(0, 7), (150, 100), (0, 20_000)] {
            let after = Position::new(after);
            let found = log_after(&engine, filter.clone(), after, limit).await;
            let expected: Vec<_> = expected.iter().filter(|event| event.position > after).cloned().collect();
            assert_eq!(found, expected, "{filter:?} after {after:?}, {limit} at once");
        }
    }
    Ok(())
}

/// How many rows of the log were read, as is known when engines have gone.
async fn rows_read(place: &Place) -> Result<i64, sqlx::Error> {
    let mut session = place.session().await;
    let gone = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'evercore'";
    while sqlx::query_scalar::<_, i64>(gone).fetch_one(&mut session).await? > 0 {}
    let read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'events'";
    sqlx::query_scalar(read).fetch_one(&mut session).await
}

/// Of one event in a thousand, few others are looked at: also by plans that were made for a table of a few rows.
#[tokio::test]
async fn rare_events_cost_little() -> TestResult {
    const EVENTS: u32 = 40_000;
    let place = Place::new().await;
    let early = filled(&place, 1, "1, 1").await;
    let rare = EventFilter { event_types: Some([EventTypeId::new(2)].into()), ..EventFilter::default() };
    let read = LogRead { filter: rare.clone(), after: Position::START, limit: 100 };
    for _ in 0..12 {
        assert!(early.read_log(&read).await?.events.is_empty());
    }
    let fill = format!(
        "INSERT INTO evercore.events (aggregate_id, sequence, time, recorded_at, aggregate_type_id, event_type_id, codec, payload)
            SELECT 2000 + n, 1, now(), now(), 1, CASE n % 1000 WHEN 500 THEN 2 ELSE 1 END, 1, '1' FROM generate_series(2, {EVENTS}) AS n;
        ANALYZE evercore.events"
    );
    run(&mut place.session().await, fill).await;
    let found = log_after(&early, rare, Position::START, 100).await;
    assert_eq!(found.len(), usize::try_from(EVENTS / 1_000)?);
    early.close().await?;
    let read = rows_read(&place).await?;
    assert!(read < i64::from(EVENTS / 20), "{read} rows were read to find {}", found.len());
    Ok(())
}
