//! Files that older versions of the library have written.

use evercore::{
    Position, Sequence,
    engine::{EngineErrorKind, NewSubscription, StorageEngine, SubscriptionEngine},
};
use evercore_sqlite::SqliteEngine;

use crate::fixtures::{Place, TestResult, append, define, load, names};

/// A store with one aggregate and one event, as version 1 of the schema kept it.
fn write_version_1(place: &Place) -> rusqlite::Result<()> {
    let shell = place.shell();
    shell.execute_batch(include_str!("../../sql/create_migrations_table.sql"))?;
    shell.execute_batch(include_str!("../../migrations/0001_event_store.sql"))?;
    shell.execute_batch(
        r#"INSERT INTO evercore_migrations (version, name) VALUES (1, 'event store');
        INSERT INTO evercore_aggregate_types VALUES (1, 'user');
        INSERT INTO evercore_event_types VALUES (1, 'UserCreated');
        UPDATE evercore_next_aggregate_id SET id = 8;
        INSERT INTO evercore_aggregates VALUES (7, 1, 'john', 1);
        INSERT INTO evercore_events VALUES (1, 7, 1, 1, 1, 1000, 2000, NULL, NULL, 0, '"event 1"');"#,
    )
}

#[tokio::test]
async fn a_store_of_version_1_gets_subscriptions_and_keeps_its_events() -> TestResult {
    let place = Place::new();
    write_version_1(&place)?;
    for _ in 0..2 {
        let engine = place.engine().await;
        let new = NewSubscription { name: "s".into(), filter: String::new(), cursor: Position::new(1) };
        let defined = engine.define_subscription(&new).await?;
        assert_eq!((defined.cursor, defined.token.get()), (Position::new(1), 1));
        let john = load(&engine, evercore::AggregateId::new(7)).await.ok_or("it exists")?;
        assert_eq!((john.version, john.events.len()), (Sequence::new(1), 1));
        assert_eq!(engine.head().await?, Position::new(1));
        assert_eq!(engine.types().await?, engine.define_types(&names()).await?);
        engine.close().await?;
    }
    let versions: Vec<i64> = place
        .shell()
        .prepare("SELECT version FROM evercore_migrations ORDER BY version")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    assert_eq!(versions, [1, 2]);
    Ok(())
}

#[tokio::test]
async fn a_store_of_version_1_is_migrated_while_it_is_in_use() -> TestResult {
    let place = Place::new();
    write_version_1(&place)?;
    // As an older version has it open, in the middle of a read.
    let older = place.shell();
    older.execute_batch("PRAGMA journal_mode = WAL; BEGIN; SELECT * FROM evercore_events")?;
    let engine = place.engine().await;
    older.execute_batch("COMMIT; UPDATE evercore_next_aggregate_id SET id = 9")?;
    let types = define(&engine).await;
    let id = engine.reserve_ids(1).await?.first;
    assert_eq!(id.get(), 9);
    engine.commit(&append(types, id, 0, 1)).await.expect("a commit");
    Ok(())
}

#[tokio::test]
async fn a_store_of_version_1_is_not_read_without_migration() -> TestResult {
    let place = Place::new();
    write_version_1(&place)?;
    let read_only = SqliteEngine::builder().path(place.path()).read_only().connect().await;
    let error = read_only.expect_err("it is too old");
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    assert!(
        format!("{error:?}").ends_with("the schema has version 1 and must be migrated to 2"),
        "{error:?}"
    );
    Ok(())
}
