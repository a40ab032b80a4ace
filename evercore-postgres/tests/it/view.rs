//! What a person sees in `psql`.

use evercore::engine::{StorageEngine, Timestamp};

use crate::fixtures::{Place, TestResult, append, create, define, new_id};

#[tokio::test]
async fn the_log_can_be_read_by_people() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut changes = create(types, id, "john@example.com");
    changes.events.extend(append(types, id, 1, 1).events);
    changes.aggregates[0].version = changes.aggregates[0].version.next();
    changes.events[1].time = Timestamp::from_micros(-1).expect("a time");
    engine.commit(&changes).await.expect("a commit");

    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT concat_ws('|', position, aggregate_type, aggregate_id, natural_key, sequence, event_type,
            time AT TIME ZONE 'UTC', reference, metadata, payload) FROM evercore.event_log ORDER BY position",
    )
    .fetch_all(&mut place.session().await)
    .await?;
    assert_eq!(
        rows,
        [
            r#"1|user|1|john@example.com|1|UserCreated|2026-01-02 03:04:05.123456|order-7|{"by":"me"}|"event 1""#,
            r#"2|user|1|john@example.com|2|UserCreated|1969-12-31 23:59:59.999999|order-7|{"by":"me"}|"event 2""#,
        ]
    );
    Ok(())
}

#[tokio::test]
async fn every_table_has_a_comment() -> TestResult {
    let place = Place::new().await;
    drop(place.engine().await);
    let silent: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
        WHERE relnamespace = 'evercore'::regnamespace AND relkind IN ('r', 'v') AND obj_description(oid, 'pg_class') IS NULL",
    )
    .fetch_all(&mut place.session().await)
    .await?;
    assert_eq!(silent, [""; 0]);
    Ok(())
}
