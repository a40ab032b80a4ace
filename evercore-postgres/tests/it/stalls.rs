//! Who holds up the readers is told.

use std::sync::Arc;

use evercore::engine::{StorageEngine, TransactionalEngine};

use crate::{
    fixtures::{Place, TestResult, commit_new, define, write_new},
    warnings::Warnings,
};

#[tokio::test]
async fn who_holds_up_readers_for_a_second_is_told_once() -> TestResult {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let place = Place::new().await;
    let engine = Arc::new(place.engine().await);
    let types = define(&engine).await;
    let mut late = engine.begin().await?;
    write_new(&engine, types, 1, &mut late).await;
    let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *late).await?;
    commit_new(&engine, types, 1).await;

    let reader = Arc::clone(&engine);
    let reading = tokio::spawn(async move { reader.head().await });
    while warnings.texts().is_empty() {
        assert!(!reading.is_finished());
        tokio::task::yield_now().await;
    }
    engine.finish(late).await?;
    reading.await??;
    let told = warnings.texts();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&format!("process {process} (evercore), in a transaction for ")), "{told:?}");
    Ok(())
}
