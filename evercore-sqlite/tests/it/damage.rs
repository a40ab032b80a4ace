//! Rows that cannot be: typed errors, never panics.

use evercore::engine::{EngineErrorKind, Load, LoadTarget, SnapshotUse, StorageEngine};

use crate::fixtures::{Place, TestResult, create, define, new_id};

#[tokio::test]
async fn impossible_rows_are_typed_errors() -> TestResult {
    for (damage, said) in [
        ("UPDATE evercore_events SET time = 9223372036854775807", "the time of an event"),
        ("UPDATE evercore_events SET recorded_at = -9223372036854775808", "the recorded time of an event"),
        ("UPDATE evercore_events SET codec = 70000", "70000"),
        ("UPDATE evercore_events SET payload = 7", "a payload"),
        ("UPDATE evercore_events SET reference = CAST(x'ff' AS TEXT)", "utf-8"),
        ("UPDATE evercore_aggregates SET natural_key = ''", "a natural key"),
    ] {
        let place = Place::new();
        let engine = place.engine().await;
        let types = define(&engine).await;
        let id = new_id(&engine).await;
        engine.commit(&create(types, id, "john")).await.expect("a commit");
        place.shell().execute_batch(&format!("PRAGMA ignore_check_constraints = 1; {damage}"))?;

        let request = Load {
            target: LoadTarget::Id(id),
            snapshot: SnapshotUse::Any,
            after: evercore::Sequence::NONE,
            limit: 10,
        };
        let error = engine.load(&[request]).await.expect_err("it cannot be read");
        assert_eq!(error.kind(), EngineErrorKind::Corrupt, "{damage}: {error:?}");
        let source = std::error::Error::source(&error).expect("a source").to_string();
        assert!(source.contains(said), "{damage}: {source}");
        engine.head().await.expect("the engine is usable");
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_table_is_an_error() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    define(&engine).await;
    place.shell().execute_batch("DROP VIEW event_log; DROP TABLE evercore_events")?;
    let error = engine.head().await.expect_err("it is gone");
    assert_eq!(error.to_string(), "sqlite cannot find the head of the log");
    Ok(())
}
