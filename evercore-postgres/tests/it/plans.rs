//! Plans of commits that were made while the tables were small are still good when they have grown.

use std::num::NonZero;

use evercore::engine::{Idempotency, KeyChange, StorageEngine};
use evercore_postgres::PostgresEngine;

use crate::fixtures::{Place, TestResult, Types, append, create, define, key, new_id, run};

/// Commits in every way.
async fn commit_all(engine: &PostgresEngine, types: Types, name: &str) -> TestResult {
    let (id, keyed) = (new_id(engine).await, new_id(engine).await);
    let mut first = append(types, id, 0, 1);
    first.idempotency = Some(Idempotency { key: name.into(), receipt: "a receipt".into() });
    engine.commit(&first).await.expect("a commit");
    engine.commit(&first).await.expect("a repeat");
    engine.commit(&create(types, keyed, name)).await.expect("a commit");
    engine.commit(&append(types, id, 1, 1)).await.expect("a commit");
    engine.commit(&append(types, id, 2, 0)).await.expect("a condition");
    let mut renamed = append(types, keyed, 1, 1);
    renamed.aggregates[0].key = KeyChange::Set { from: Some(key(name)), to: key(&format!("another {name}")) };
    engine.commit(&renamed).await.expect("a commit");
    Ok(())
}

#[tokio::test]
async fn commits_whose_plans_were_made_for_small_tables_do_not_scan_large_ones() -> TestResult {
    let place = Place::new().await;
    let one = NonZero::new(1).ok_or("it is not zero")?;
    let engine = PostgresEngine::builder().url(&place.url()).pool_size(one).connect().await?;
    let types = define(&engine).await;
    let mut session = place.session().await;
    commit_all(&engine, types, "before").await?;
    run(&mut session, "ANALYZE").await;
    for round in 0..12 {
        commit_all(&engine, types, &format!("small {round}")).await?;
    }
    run(
        &mut session,
        "INSERT INTO evercore.aggregates SELECT n, 1, 1, 'key ' || n FROM generate_series(1000, 31000) AS n;
        INSERT INTO evercore.events (aggregate_id, sequence, time, recorded_at, aggregate_type_id, event_type_id, codec, payload)
            SELECT n, 1, now(), now(), 1, 1, 1, '1' FROM generate_series(1000, 31000) AS n;
        INSERT INTO evercore.snapshots SELECT n, 1, 1, 1, '1' FROM generate_series(1000, 31000) AS n;
        INSERT INTO evercore.idempotency_keys SELECT 'key ' || n, 1, now(), '' FROM generate_series(1000, 31000) AS n",
    )
    .await;
    for round in 0..3 {
        commit_all(&engine, types, &format!("large {round}")).await?;
    }
    engine.close().await?;
    let scanned: Vec<(String, i64)> = loop {
        // What a session did is counted at the latest when it has ended.
        let found = sqlx::query_as(
            "SELECT relname::text, seq_tup_read FROM pg_stat_user_tables
            WHERE relname IN ('aggregates', 'events', 'snapshots', 'idempotency_keys') AND idx_scan > 0",
        )
        .fetch_all(&mut session)
        .await?;
        let gone = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'evercore'";
        if sqlx::query_scalar::<_, i64>(gone).fetch_one(&mut session).await? == 0 {
            break found;
        }
    };
    let large: Vec<_> = scanned.iter().filter(|(_, rows)| *rows > 30_000).collect();
    assert!(large.is_empty(), "whole tables were read: {large:?}");
    Ok(())
}
