//! What an application sees of bad files and bad data: errors that say what was being done, to which aggregate, and
//! why.

use std::{error::Error as _, num::NonZero, time::Duration};

use evercore::{
    Aggregate, AggregateId, Apply, Error, EventStore, LogFilter, RetryPolicy, engine::EngineErrorKind, event,
    state_event,
};
use evercore_sqlite::SqliteEngine;
use serde::{Deserialize, Serialize};

use crate::fixtures::{Place, TestResult};

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Written, Counted), snapshot = off)]
struct Note {
    text: String,
    count: u64,
}

#[state_event(Note)]
struct Written {
    text: String,
}

#[event]
struct Counted {}

impl Apply<Counted> for Note {
    fn apply(&mut self, _event: &Counted) {
        self.count += 1;
    }
}

async fn open(place: &Place) -> EventStore {
    EventStore::open::<Note>(place.engine().await).await.expect("the store opens")
}

async fn write(store: &EventStore, key: &str, text: &str) -> evercore::Result<AggregateId<Note>> {
    store
        .with_context(async |ctx| {
            let mut note = ctx.load_or_create::<Note>(key).await?;
            ctx.apply(&mut note, Written { text: text.to_owned() })?;
            Ok(note.id())
        })
        .await
}

fn kind(error: &Error) -> Option<EngineErrorKind> {
    match error {
        Error::Engine { source, .. } => Some(source.kind()),
        _ => None,
    }
}

/// The message of an error and of everything behind it.
fn whole_story(error: &Error) -> String {
    let mut story = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        story = format!("{story}: {cause}");
        source = cause.source();
    }
    story
}

#[tokio::test]
async fn a_read_only_store_can_be_read_and_says_that_it_cannot_be_written_to() -> TestResult {
    let place = Place::new();
    let store = open(&place).await;
    let id = write(&store, "a", "text").await?;
    store.close().await?;

    let engine = SqliteEngine::builder().path(place.path()).read_only().connect().await?;
    let store = EventStore::open::<Note>(engine).await?;
    assert_eq!(store.load(id).await?.text, "text");
    let error = write(&store, "a", "other").await.expect_err("it is read-only");
    assert_eq!(kind(&error), Some(EngineErrorKind::ReadOnly));
    let story = whole_story(&error);
    let beginning = format!("cannot commit the changes of Note {id}: sqlite cannot write changes: ");
    assert!(story.starts_with(&beginning), "{story}");
    Ok(())
}

// Opening looks the names up and defines none: a reader of another version must not need to write.
#[tokio::test]
async fn a_read_only_store_opens_although_names_are_missing() -> TestResult {
    let place = Place::new();
    place.engine().await;
    let engine = SqliteEngine::builder().path(place.path()).read_only().connect().await?;
    let store = EventStore::open::<Note>(engine).await?;
    assert!(store.load_by_key::<Note>("a").await.expect_err("there is none").is_not_found());
    let error = write(&store, "a", "text").await.expect_err("it is read-only");
    assert_eq!(kind(&error), Some(EngineErrorKind::ReadOnly), "{}", whole_story(&error));
    Ok(())
}

#[tokio::test]
async fn a_full_disk_is_said_and_what_was_committed_stays() -> TestResult {
    let place = Place::new();
    let pages = NonZero::new(60).ok_or("not zero")?;
    let engine = SqliteEngine::builder().path(place.path()).max_pages(pages).connect().await?;
    let store = EventStore::open::<Note>(engine).await?;
    let long = "x".repeat(4_000);
    let mut written = 0;
    let error = loop {
        match write(&store, "a", &long).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1_000, "the limit is never reached");
    };
    assert_eq!(kind(&error), Some(EngineErrorKind::StorageFull), "{}", whole_story(&error));
    assert!(!error.is_temporary());
    assert_eq!(store.load_by_key::<Note>("a").await?.sequence().get(), written);
    Ok(())
}

#[tokio::test]
async fn a_locked_file_is_temporary_and_retried() -> TestResult {
    let place = Place::new();
    let engine =
        SqliteEngine::builder().path(place.path()).busy_timeout(Duration::from_millis(20)).connect().await?;
    let store = EventStore::open::<Note>(engine).await?;
    let id = write(&store, "a", "text").await?;
    let stranger = place.shell();
    stranger.execute_batch("BEGIN IMMEDIATE")?;
    let error = write(&store, "a", "other").await.expect_err("it is locked");
    assert_eq!((kind(&error), error.is_temporary()), (Some(EngineErrorKind::Busy), true));
    assert_eq!(store.load(id).await?.text, "text", "reading does not wait");

    let mut runs = 0;
    let unit = store.unit().retry(RetryPolicy::default());
    unit.run(|ctx| {
        runs += 1;
        if runs == 2 {
            stranger.execute_batch("ROLLBACK").expect("the stranger gives up");
        }
        async move {
            let mut note = ctx.load(id).await?;
            ctx.apply(&mut note, Counted {})
        }
    })
    .await?;
    assert_eq!((runs, store.load(id).await?.count), (2, 1));
    Ok(())
}

#[tokio::test]
async fn data_that_the_code_does_not_understand_is_named() -> TestResult {
    for (damage, expected) in [
        (
            "UPDATE evercore_events SET payload = '{\"text\":'",
            "a \"Written\", cannot be decoded: the payload",
        ),
        (
            "UPDATE evercore_events SET payload = '{\"text\":7}'",
            "invalid type: integer `7`, expected a string",
        ),
        ("UPDATE evercore_events SET codec = 99", "codec 99 is not known to this version"),
        ("UPDATE evercore_events SET metadata = '7'", "the metadata of event 1 is not a JSON object"),
        (
            "UPDATE evercore_event_types SET name = 'Burnt' WHERE name = 'Written'",
            "is a \"Burnt\", which the aggregate",
        ),
        ("DELETE FROM evercore_events", "is damaged: event 1 is missing"),
    ] {
        let place = Place::new();
        let store = open(&place).await;
        let id = write(&store, "a", "text").await?;
        store.close().await?;
        place.shell().execute_batch(damage)?;

        let store = open(&place).await;
        let error = store.load(id).await.expect_err(damage);
        let story = whole_story(&error);
        assert!(story.contains(expected), "{damage}: {story}");
        assert!(story.contains(&format!(" {id}")), "{story}");
        // The rest of the store goes on.
        let other = write(&store, "b", "text").await?;
        assert_eq!(store.load(other).await?.text, "text");
    }
    Ok(())
}

// An engine may stop on its way through events that are not wanted: that is not the head of the log.
#[tokio::test]
async fn a_page_of_rare_events_is_empty_at_the_head_only() -> TestResult {
    let place = Place::new();
    let store = open(&place).await;
    let id = write(&store, "a", "text").await?;
    let first = store.head().await?;
    let count = async |ctx: evercore::Context| {
        let mut note = ctx.load(id).await?;
        for _ in 0..25_000 {
            ctx.apply(&mut note, Counted {})?;
        }
        Ok(())
    };
    store.with_context(count).await?;
    write(&store, "b", "rare").await?;

    let mut log = store.log(LogFilter::new().event::<Written>(), first);
    let page = log.page(10).await?;
    assert_eq!((page.events.len(), page.end), (1, store.head().await?));
    assert!(log.page(10).await?.events.is_empty());
    Ok(())
}

// A power failure undoes what did not reach the disk: checkpoints are written without waiting for that.
#[tokio::test]
async fn a_subscription_goes_on_when_its_last_checkpoints_were_undone() -> TestResult {
    let place = Place::new();
    let store = open(&place).await;
    for key in ["a", "b", "c", "d"] {
        write(&store, key, "text").await?;
    }
    let (done, stop) = tokio::sync::oneshot::channel::<()>();
    let (mut done, mut delivered) = (Some(done), Vec::new());
    let subscription = store.subscription("notes").batch_size(1).until(async move { drop(stop.await) });
    let handler = |batch: evercore::Batch<evercore::RecordedEvent>| {
        delivered.push(batch.end().get());
        if delivered.len() == 3 {
            let undo = "UPDATE evercore_subscriptions SET cursor = 1";
            assert_eq!(place.shell().execute(undo, []).expect("it is undone"), 1);
        }
        if delivered.len() == 4 {
            done.take();
        }
        std::future::ready(Ok(()))
    };
    subscription.run(handler).await?;
    assert_eq!(delivered, [1, 2, 3, 4]);
    let status = store.subscriptions().await?;
    assert_eq!(status[0].cursor, store.head().await?);
    Ok(())
}
