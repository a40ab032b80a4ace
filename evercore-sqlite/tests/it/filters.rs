//! Finding events by their types, rare and frequent ones.

use evercore::{
    AggregateTypeId, EventTypeId, Position,
    engine::{EventFilter, LogRead, StorageEngine, StoredEvent, TypeNames},
};
use evercore_sqlite::SqliteEngine;

use crate::fixtures::{Place, TestResult};

/// A store with types 1 to 4 of both kinds, and events 1 to n of those that expressions over `n` say.
async fn filled(place: &Place, events: u32, types: &str) -> SqliteEngine {
    let engine = place.engine().await;
    let names = || ["one", "two", "three", "four"].map(str::to_owned).to_vec();
    let types_of_store = TypeNames { aggregates: names(), events: names() };
    engine.define_types(&types_of_store).await.expect("types are defined");
    let fill = format!(
        "INSERT INTO evercore_aggregates (id, type_id, version) VALUES (1, 1, {events});
        INSERT INTO evercore_events
            (aggregate_id, sequence, time, recorded_at, aggregate_type_id, event_type_id, codec, payload)
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {events})
            SELECT 1, n, 0, 0, {types}, 1, '1' FROM numbers"
    );
    place.shell().execute_batch(&fill).expect("the events are written");
    engine
}

async fn log_after(engine: &SqliteEngine, filter: &EventFilter, after: i64, limit: u32) -> Vec<StoredEvent> {
    let (mut events, mut after) = (Vec::new(), Position::new(after));
    loop {
        let read = LogRead { filter: filter.clone(), after, limit };
        let page = engine.read_log(&read).await.expect("a page");
        assert!(page.events.len() <= usize::try_from(limit).expect("a number"), "{limit}");
        if page.end == after {
            return events;
        }
        events.extend(page.events);
        after = page.end;
    }
}

/// Filters by each pair of sets of types, `None` among them; also types that no event has, and one given twice.
fn filters() -> impl Iterator<Item = EventFilter> {
    const SETS: [Option<&[i64]>; 6] =
        [None, Some(&[]), Some(&[1]), Some(&[2, 9]), Some(&[3, 2, 3]), Some(&[1, 2, 3, 4])];
    let pairs = SETS.into_iter().flat_map(|one| SETS.into_iter().map(move |other| (one, other)));
    pairs.map(|(aggregates, events)| EventFilter {
        aggregate_types: aggregates.map(|ids| ids.iter().copied().map(AggregateTypeId::new).collect()),
        event_types: events.map(|ids| ids.iter().copied().map(EventTypeId::new).collect()),
        aggregate: None,
    })
}

#[tokio::test]
async fn rare_and_frequent_events_are_found_alike() -> TestResult {
    let place = Place::new();
    // Types 1 and 2 are frequent, 3 is rare; the beginning of the log is not like the rest.
    let types = "CASE WHEN n % 97 = 0 THEN 3 ELSE 1 + n / 2 % 2 END,
        CASE WHEN n < 200 OR n % 89 = 0 THEN 3 ELSE 1 + n % 2 END";
    let engine = filled(&place, 3_000, types).await;
    let all = log_after(&engine, &EventFilter::default(), 0, 1_000).await;
    assert_eq!(all.len(), 3_000);
    for filter in filters() {
        let allowed: Vec<_> = all.iter().filter(|event| filter.allows(event)).cloned().collect();
        for (after, limit) in [(0, 7), (150, 100), (0, 20_000)] {
            let found = log_after(&engine, &filter, after, limit).await;
            let expected = allowed.iter().filter(|event| event.position.get() > after);
            assert!(found.iter().eq(expected), "{filter:?} after {after}, {limit} at once");
        }
    }
    Ok(())
}

/// A page of rare events goes as far as there are any: nobody looks at those between.
#[tokio::test]
async fn a_page_of_rare_events_goes_to_the_head() -> TestResult {
    const EVENTS: u32 = 40_000;
    let place = Place::new();
    let engine = filled(&place, EVENTS, "1, CASE n % 1000 WHEN 500 THEN 2 ELSE 1 END").await;
    let filter = EventFilter { event_types: Some([EventTypeId::new(2)].into()), ..EventFilter::default() };
    let mut read = LogRead { filter, after: Position::START, limit: 30 };
    let page = engine.read_log(&read).await?;
    assert_eq!((page.events.len(), page.end), (30, Position::new(29_500)));
    read.after = page.end;
    let page = engine.read_log(&read).await?;
    assert_eq!((page.events.len(), page.end), (10, Position::new(EVENTS.into())));
    let plan = "EXPLAIN QUERY PLAN SELECT position FROM evercore_events
        WHERE aggregate_type_id = 1 AND event_type_id = 2 AND position > 1 AND position <= 9 ORDER BY position LIMIT 3";
    let plan: String = place.shell().query_row(plan, [], |row| row.get(3))?;
    assert!(plan.contains("COVERING INDEX evercore_events_by_type"), "{plan}");
    Ok(())
}
