//! Handlers that fail, and events that cannot be decoded.

use std::{
    collections::HashSet,
    future::{self, Ready},
    sync::{Arc, Mutex},
};

use super::{
    Harness,
    runs::{NOTHING, Run, cursor, log, positions, quick_retry, status, subscription, until},
    samples::{Account, AccountEvent, deposit, open, stored_account},
    subscribers::NAME,
};
use crate::{
    AggregateId, Batch, Error, EventStore, HandlerError, OnFailure, Position, RecordedEvent,
    SubscriptionState, engine::StorageEngine,
};

/// How often a batch is delivered, and then each of its events alone, before one counts as one that cannot be
/// handled.
const ATTEMPTS: u32 = 3;

/// Fails at batches that contain this event.
fn poisoned(poison: i64) -> impl Fn(Batch<RecordedEvent>) -> Handled {
    move |batch| {
        future::ready(match positions(&*batch).contains(&poison) {
            true => Err("it is poison".into()),
            false => Ok(()),
        })
    }
}

/// A store with a hundred events in its log, and the positions of these.
async fn a_hundred(harness: &impl Harness) -> (EventStore, Vec<i64>) {
    let store = open(harness).await;
    stored_account(&store, "ada", 99).await;
    let log = positions(&log(&store).await);
    (store, log)
}

#[track_caller]
fn assert_failed_at(error: &Error, at: i64, after: u32) {
    match error {
        Error::SubscriptionFailed { name, position, attempts, .. } => {
            assert_eq!((&**name, position.get(), *attempts), (NAME, at, after));
        }
        other => panic!("an event that cannot be handled was expected, not {other:?}"),
    }
}

pub(super) async fn one_that_stops_is_right_before_the_event<H: Harness>(harness: H) {
    let (store, log) = a_hundred(&harness).await;
    let run = Run::by(subscription(&store).retry(quick_retry(ATTEMPTS)), poisoned(log[60]));
    let (handled, error) = run.failed().await;
    assert_eq!(handled, log[..60]);
    assert_failed_at(&error, log[60], 2 * ATTEMPTS);
    let stopped = status(&store).await;
    assert_eq!((stopped.cursor.get(), stopped.owner), (log[59], None));
    match stopped.state {
        SubscriptionState::Failed(error) => assert!(error.contains("it is poison"), "{error}"),
        other => panic!("a failure was expected, not {other:?}"),
    }
    assert_eq!(store.failed_deliveries(NAME, Position::START, 10).await.unwrap(), []);

    let mut again = Run::of(subscription(&store));
    assert_eq!(again.take(40).await, log[60..]);
    assert_eq!(status(&store).await.state, SubscriptionState::Active);
    assert_eq!(again.stop().await, NOTHING);
}

pub(super) async fn one_that_skips_records_the_event_and_goes_on<H: Harness>(harness: H) {
    let (store, log) = a_hundred(&harness).await;
    let poison = log[60];
    let skipping = subscription(&store).retry(quick_retry(ATTEMPTS)).on_failure(OnFailure::Skip);
    let mut run = Run::by(skipping, poisoned(poison));
    let good: Vec<_> = log.iter().copied().filter(|position| *position != poison).collect();
    assert_eq!(run.take(99).await, good);
    assert_eq!(run.stop().await, NOTHING);
    let after = status(&store).await;
    assert_eq!((after.cursor.get(), after.state), (log[99], SubscriptionState::Active));
    assert_recorded(&store, poison, 2 * ATTEMPTS, "it is poison").await;

    let retried = subscription(&store).retry_failed(poisoned(poison)).await.unwrap();
    assert_eq!(retried.handled, []);
    assert_eq!(retried.failed, [(Position::new(poison), "it is poison".to_owned())]);
    assert_recorded(&store, poison, 2 * ATTEMPTS, "it is poison").await;
    let delivered = Mutex::new(Vec::new());
    let retried = subscription(&store).retry_failed(async |batch| {
        delivered.lock().unwrap().extend(positions(&*batch));
        Ok(())
    });
    assert_eq!(retried.await.unwrap().handled, [Position::new(poison)]);
    assert_eq!(delivered.into_inner().unwrap(), [poison]);
    assert_eq!(store.failed_deliveries(NAME, Position::START, 10).await.unwrap(), []);
}

/// There is this one failed delivery.
async fn assert_recorded(store: &EventStore, position: i64, attempts: u32, error: &str) {
    let failed = store.failed_deliveries(NAME, Position::START, 10).await.unwrap();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((failed[0].position.get(), failed[0].attempts), (position, attempts));
    assert!(failed[0].error.contains(error), "{failed:?}");
}

pub(super) async fn failed_deliveries_are_dropped_by_hand<H: Harness>(harness: H) {
    let (store, log) = a_hundred(&harness).await;
    let skipping = subscription(&store).retry(quick_retry(1)).on_failure(OnFailure::Skip);
    let mut run = Run::by(skipping, poisoned(log[99]));
    run.take(99).await;
    let position = Position::new(log[99]);
    while !store.drop_failed_delivery(NAME, position).await.unwrap() {
        tokio::task::yield_now().await;
    }
    assert!(!store.drop_failed_delivery(NAME, position).await.unwrap(), "it is gone");
    assert_eq!(store.failed_deliveries(NAME, Position::START, 10).await.unwrap(), []);
    assert_eq!(run.stop().await, NOTHING);
}

pub(super) async fn an_error_that_passes_loses_nothing<H: Harness>(harness: H) {
    let (store, log) = a_hundred(&harness).await;
    let failed = Arc::new(Mutex::new(HashSet::new()));
    let every_batch_once = move |batch: Batch<RecordedEvent>| {
        let is_first = failed.lock().unwrap().insert(batch.end());
        async move {
            assert_eq!(batch.attempt(), if is_first { 1 } else { 2 });
            if is_first { Err("not yet".into()) } else { Ok(()) }
        }
    };
    let mut run = Run::by(subscription(&store).batch_size(10), every_batch_once);
    assert_eq!(run.take(100).await, log);
    assert_eq!(run.stop().await, NOTHING);
    assert_eq!(cursor(&store).await, log[99]);
}

pub(super) async fn a_panic_is_an_error<H: Harness>(harness: H) {
    let (store, log) = a_hundred(&harness).await;
    let panicking = async |_| panic!("it cannot go on");
    let (handled, error) = Run::by(subscription(&store), panicking).failed().await;
    assert_failed_at(&error, log[0], 4);
    assert_eq!(handled, NOTHING);
    match status(&store).await.state {
        SubscriptionState::Failed(error) => assert!(error.contains("it cannot go on"), "{error}"),
        other => panic!("a failure was expected, not {other:?}"),
    }
    let once = |batch: Batch<RecordedEvent>| async move {
        assert_ne!(batch.attempt(), 1, "the first time it panics");
        Ok(())
    };
    let mut run = Run::by(subscription(&store), once);
    assert_eq!(run.take(100).await, log);
    assert_eq!(run.stop().await, NOTHING);
}

pub(super) async fn an_event_that_cannot_be_decoded_stops_it<H: Harness>(harness: H) {
    let (store, log) = with_an_undecodable_one::<H>(&harness).await;
    let (seen, handler) = seen();
    let error = subscription(&store).decode::<Account>().run(handler).await.unwrap_err();
    assert_failed_at(&error, log[3], 1);
    assert_eq!(*seen.lock().unwrap(), log[..3]);
    assert_eq!(cursor(&store).await, log[2]);
    assert!(matches!(status(&store).await.state, SubscriptionState::Failed(_)));
}

pub(super) async fn an_event_that_cannot_be_decoded_is_skipped<H: Harness>(harness: H) {
    let (store, log) = with_an_undecodable_one::<H>(&harness).await;
    let (seen, handler) = seen();
    let skipping = subscription(&store).on_failure(OnFailure::Skip);
    let run = Run::spawn(|until, _| skipping.decode::<Account>().until(until).run(handler));
    until(&store, NAME, |status| status.cursor.get() == log[5]).await;
    run.stop().await;
    assert_eq!(*seen.lock().unwrap(), [&log[..3], &log[4..]].concat());
    assert_recorded(&store, log[3], 1, "cannot be decoded").await;

    let retried = subscription(&store).decode::<Account>().retry_failed(async |_| Ok(())).await.unwrap();
    assert_eq!((retried.handled.len(), retried.failed.len()), (0, 1), "it still cannot be decoded");
    let retried = subscription(&store).retry_failed(async |_| Ok(())).await.unwrap();
    assert_eq!(retried.handled, [Position::new(log[3])]);
}

type Handled = Ready<Result<(), HandlerError>>;

type Seen = Arc<Mutex<Vec<i64>>>;

type Decoded = crate::Decoded<AccountEvent>;

/// A handler, and the positions that it has seen.
fn seen() -> (Seen, impl FnMut(Batch<Decoded>) -> Handled) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let seen = Arc::clone(&seen);
        move |batch: Batch<Decoded>| {
            seen.lock().unwrap().extend(batch.iter().map(|event| event.recorded.position().get()));
            future::ready(Ok(()))
        }
    };
    (seen, handler)
}

/// A store of six events, of which the fourth does not have the shape of its type, and their positions.
async fn with_an_undecodable_one<H: Harness>(harness: &H) -> (EventStore, Vec<i64>) {
    let store = open(harness).await;
    let id = stored_account(&store, "ada", 2).await;
    damage::<H>(&store, id).await;
    stored_account(&store, "eve", 1).await;
    let log = positions(&log(&store).await);
    (store, log)
}

/// Writes an event that does not have the shape of its type.
async fn damage<H: Harness>(store: &EventStore, id: AggregateId<Account>) {
    let ctx = store.begin();
    ctx.apply(&mut ctx.load(id).await.unwrap(), deposit()).unwrap();
    let prepared = ctx.prepare::<H::Engine>().await.unwrap();
    let mut changes = prepared.changes().clone();
    changes.events[0].payload.bytes = br#"{"amount":"much"}"#.to_vec();
    prepared.engine().commit(&changes).await.unwrap();
}
