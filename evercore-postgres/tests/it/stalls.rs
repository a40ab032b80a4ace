//! Who holds up the readers is told.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use evercore::engine::{StorageEngine, TransactionalEngine};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use crate::fixtures::{Place, TestResult, commit_new, define, write_new};

/// Keeps the text of warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.0.lock().expect("nobody panics").push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

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
    let told = || warnings.0.lock().expect("nobody panics").clone();
    while told().is_empty() {
        assert!(!reading.is_finished());
        tokio::task::yield_now().await;
    }
    engine.finish(late).await?;
    reading.await??;
    let told = told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&format!("process {process} (evercore), in a transaction for ")), "{told:?}");
    Ok(())
}
