//! Durable subscriptions as streams, with acknowledgements.

use evercore::{Acknowledge, Batch, BatchStream, Error, RecordedEvent, engine::EngineErrorKind};
use evercore_memory::MemoryEngine;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tokio::sync::oneshot;

use super::{
    faulty::{Fault, FaultyEngine, Gate, LOST, Op},
    support::{LONG, Runner, deposit, durable, open, positions, soon, status},
};

async fn next(batches: &mut BatchStream<RecordedEvent>) -> (Vec<i64>, Acknowledge) {
    let (batch, acknowledge): (Batch<_>, _) = soon(batches.try_next()).await.unwrap().unwrap();
    (positions(&batch), acknowledge)
}

async fn cursor(store: &evercore::EventStore) -> i64 {
    status(store, "s").await.cursor.get()
}

#[tokio::test]
async fn the_cursor_moves_by_acknowledgements_alone() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 6).await;
    let mut batches = durable(&store).batch_size(2).stream().await.unwrap();
    let (first, done) = next(&mut batches).await;
    let (second, _) = next(&mut batches).await;
    assert_eq!((first, second, cursor(&store).await), (vec![1, 2], vec![3, 4], 0));
    done.done().await.unwrap();
    assert_eq!(cursor(&store).await, 2);
    batches.close().await;
    assert_eq!(status(&store, "s").await.owner, None);
    assert_eq!(Runner::to_head(&store, "s", durable(&store)).await, [3, 4, 5, 6]);
}

#[tokio::test]
async fn an_acknowledgement_covers_all_batches_before() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 6).await;
    let mut batches = durable(&store).batch_size(2).stream().await.unwrap();
    let (_, first) = next(&mut batches).await;
    let (_, second) = next(&mut batches).await;
    let (_, third) = next(&mut batches).await;
    second.done().await.unwrap();
    assert_eq!(cursor(&store).await, 4);
    first.done().await.unwrap();
    assert_eq!(cursor(&store).await, 4, "it never moves back");
    third.done().await.unwrap();
    assert_eq!(cursor(&store).await, 6);
    batches.close().await;
}

#[tokio::test]
async fn an_acknowledgement_whose_answer_is_lost_does_not_spoil_the_next() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 6).await;
    let mut batches = durable(&store).batch_size(2).stream().await.unwrap();
    let (_, first) = next(&mut batches).await;
    let (_, second) = next(&mut batches).await;
    let (_, third) = next(&mut batches).await;
    engine.disturb(Op::Checkpoint, [Fault::AnswerLost, LOST]);
    first.done().await.unwrap();
    assert_eq!(cursor(&store).await, 2);
    // This one is made, and the application does not wait for its answer.
    let gate = Gate::new();
    engine.disturb(Op::Checkpoint, [Fault::After(gate)]);
    assert!(second.done().now_or_never().is_none());
    assert_eq!(cursor(&store).await, 4);
    third.done().await.unwrap();
    assert_eq!(cursor(&store).await, 6);
    batches.close().await;
}

#[tokio::test]
async fn after_the_end_nothing_can_be_acknowledged() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 4).await;
    let mut batches = durable(&store).batch_size(2).stream().await.unwrap();
    let (_, first) = next(&mut batches).await;
    batches.close().await;
    assert!(matches!(first.done().await, Err(Error::Fenced { .. })));
    assert_eq!(cursor(&store).await, 0);
}

#[tokio::test]
async fn one_that_is_lost_ends_with_the_reason() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 2).await;
    let mut batches = durable(&store).stream().await.unwrap();
    let (_, first) = next(&mut batches).await;
    store.pause_subscription("s").await.unwrap();
    let error = soon(batches.try_next()).await.unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error:?}");
    assert!(soon(batches.next()).await.is_none());
    assert!(matches!(first.done().await, Err(Error::Fenced { .. })));
    batches.close().await;
    assert_eq!(cursor(&store).await, 0);
}

#[tokio::test]
async fn its_shutdown_ends_it_and_what_was_delivered_can_be_acknowledged() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 4).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let stream = durable(&store).batch_size(2).until(async { drop(stopped.await) }).stream();
    let mut batches = stream.await.unwrap();
    let (_, first) = next(&mut batches).await;
    stop.send(()).unwrap();
    assert!(soon(batches.next()).await.is_none());
    first.done().await.unwrap();
    assert_eq!(cursor(&store).await, 2);
    batches.close().await;
    assert_eq!(status(&store, "s").await.owner, None);
}

#[tokio::test]
async fn dropped_its_lease_is_left_to_expire() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 2).await;
    let mut batches = durable(&store).stream().await.unwrap();
    let (_, first) = next(&mut batches).await;
    drop(batches);
    assert!(status(&store, "s").await.owner.is_some());
    assert_eq!(engine.calls(Op::Release), 0);
    // What was delivered may still be acknowledged.
    first.done().await.unwrap();
    assert_eq!(cursor(&store).await, 2);
}

#[tokio::test]
async fn a_second_one_is_refused_and_lost_connections_are_waited_for() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    engine.disturb(Op::Claim, [LOST]);
    engine.disturb(Op::ReadLog, [LOST, Fault::Fails(EngineErrorKind::Timeout)]);
    deposit(&store, 2).await;
    let mut batches = durable(&store).stream().await.unwrap();
    let second = durable(&store).stream().await;
    assert!(matches!(second.unwrap_err(), Error::AlreadyOwned { .. }));
    let (first, done) = next(&mut batches).await;
    assert_eq!(first, [1, 2]);
    done.done().await.unwrap();
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    // Dropping the future of a next batch loses nothing.
    for position in 3..8 {
        assert!(batches.next().now_or_never().is_none());
        deposit(&store, 1).await;
        let (batch, done) = next(&mut batches).await;
        assert_eq!(batch, [position]);
        done.done().await.unwrap();
    }
    batches.close().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_ends_it_by_its_name() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 1).await;
    crate::domain::stored_user(&store, "john", 0).await;
    let mut batches = durable(&store).decode::<crate::domain::Account>().stream().await.unwrap();
    let (batch, done) = soon(batches.try_next()).await.unwrap().unwrap();
    assert_eq!(batch.len(), 1);
    let error = soon(batches.try_next()).await.unwrap_err();
    let Error::SubscriptionFailed { name, position, .. } = error else { panic!("{error:?}") };
    assert_eq!((&*name, position.get()), ("s", 2));
    assert!(soon(batches.next()).await.is_none());
    done.done().await.unwrap();
    assert_eq!(cursor(&store).await, 1);
    batches.close().await;
}
