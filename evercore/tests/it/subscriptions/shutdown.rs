//! Ending in good order, and without.

use std::time::Duration;

use evercore::{RetryPolicy, StartFrom, SubscriptionState};
use evercore_memory::MemoryEngine;
use tokio::sync::oneshot;

use super::{
    faulty::{Fault, FaultyEngine, Gate, LOST, Op},
    support::{LONG, NEVER, Runner, deposit, durable, open, soon, status},
};

#[tokio::test]
async fn the_batch_in_hand_is_finished_and_stored() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 5).await;
    let gate = Gate::new();
    let inside = gate.clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let run = durable(&store).batch_size(2).until(async { drop(stopped.await) }).run(move |_| {
        let inside = inside.clone();
        async move {
            inside.pass().await;
            Ok(())
        }
    });
    let task = tokio::spawn(run);
    soon(gate.reached()).await;
    stop.send(()).unwrap();
    assert!(!task.is_finished());
    gate.open();
    soon(task).await.unwrap().unwrap();
    let status = status(&store, "s").await;
    assert_eq!((status.cursor.get(), status.owner), (2, None));
    assert_eq!(status.state, SubscriptionState::Active);
    assert_eq!(Runner::to_head(&store, "s", durable(&store)).await, [3, 4, 5]);
}

#[tokio::test]
async fn what_was_passed_over_is_stored() {
    let store = open(MemoryEngine::new()).await;
    let filtered = durable(&store).event::<crate::domain::UserLoggedIn>();
    let mut runner = Runner::of(filtered);
    crate::domain::stored_user(&store, "john", 1).await;
    assert_eq!(runner.next().await, [2]);
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    // Everybody who follows the log has passed over it when another has handled it.
    let mut other = Runner::of(store.subscription("other"));
    deposit(&store, 3).await;
    other.take(5).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(runner.stop().await.is_empty());
    assert_eq!(status(&store, "s").await.cursor.get(), 5);
}

#[tokio::test]
async fn before_it_begins_nothing_is_claimed() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    durable(&store).until(async {}).run(async |_| Ok(())).await.unwrap();
    let mut batches = durable(&store).until(async {}).stream().await.unwrap();
    assert!(futures_util::StreamExt::next(&mut batches).await.is_none());
    batches.close().await;
    store.ephemeral_subscription().until(async {}).run(async |_| Ok(())).await.unwrap();
    assert_eq!(engine.calls(Op::Claim), 0);
}

#[tokio::test]
async fn between_retries_it_ends_at_once_and_has_not_failed() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 1).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let (failed, has_failed) = oneshot::channel::<()>();
    let mut failed = Some(failed);
    let policy = RetryPolicy::none().with_attempts(9).with_base(NEVER).with_cap(NEVER);
    let run = durable(&store).retry(policy).until(async { drop(stopped.await) }).run(move |_| {
        failed.take().unwrap().send(()).unwrap();
        async { Err("not now".into()) }
    });
    let task = tokio::spawn(run);
    soon(has_failed).await.unwrap();
    stop.send(()).unwrap();
    soon(task).await.unwrap().unwrap();
    let status = status(&store, "s").await;
    assert_eq!((status.cursor.get(), status.owner, status.state), (0, None, SubscriptionState::Active));
}

#[tokio::test]
async fn who_stands_by_or_waits_for_the_store_ends_at_once() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let owner = Runner::of(durable(&store));
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    let standby = Runner::of(durable(&store).standby());
    while engine.calls(Op::Claim) < 2 {
        tokio::task::yield_now().await;
    }
    assert!(standby.stop().await.is_empty());
    engine.set_down(true);
    let other = Runner::of(store.subscription("other"));
    while engine.calls(Op::List) < 4 {
        tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await.unwrap_err();
    }
    assert!(other.stop().await.is_empty());
    engine.set_down(false);
    assert!(owner.stop().await.is_empty());
}

#[tokio::test]
async fn a_claim_under_way_is_given_back() {
    for op in [Op::Claim, Op::Change, Op::ReadLog] {
        let engine = FaultyEngine::new();
        let store = open(engine.clone()).await;
        deposit(&store, 1).await;
        Runner::to_head(&store, "s", durable(&store)).await;
        let gate = Gate::new();
        engine.disturb(op, [Fault::After(gate.clone())]);
        let mut subscription = durable(&store);
        if op == Op::Change {
            subscription = subscription.reset(StartFrom::Beginning);
        }
        let mut runner = Runner::of(subscription);
        soon(gate.reached()).await;
        runner.request_stop();
        tokio::task::yield_now().await;
        gate.open();
        runner.ended().await.unwrap();
        assert_eq!(status(&store, "s").await.owner, None, "{op:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_busy_keeps_nothing_from_being_released() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 1).await;
    let mut runner = Runner::of(durable(&store));
    assert_eq!(runner.next().await, [1]);
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    engine.disturb(Op::Release, [Fault::Fails(evercore::engine::EngineErrorKind::Busy), LOST]);
    assert!(runner.stop().await.is_empty());
    assert_eq!(status(&store, "s").await.owner, None);
}

#[tokio::test]
async fn an_idle_cursor_that_cannot_be_stored_is_no_failure() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let filtered = durable(&store).event::<crate::domain::UserLoggedIn>();
    let runner = Runner::of(filtered);
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    let mut other = Runner::of(store.subscription("other"));
    deposit(&store, 3).await;
    other.take(3).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    engine.break_down(Op::Checkpoint, LOST);
    assert!(runner.stop().await.is_empty());
    assert_eq!(status(&store, "s").await.state, SubscriptionState::Active);
}

#[tokio::test]
async fn dropped_it_stops_at_once_and_its_lease_expires() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 1).await;
    let mut runner = Runner::of(durable(&store).lease(Duration::from_millis(30)));
    assert_eq!(runner.next().await, [1]);
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    runner.kill().await;
    let dead = status(&store, "s").await;
    assert!(dead.owner.is_some());
    assert_eq!(engine.calls(Op::Release), 0);
    while status(&store, "s").await.lease_expires_at.unwrap() > chrono::Utc::now() {
        tokio::task::yield_now().await;
    }
    let mut runner = Runner::of(durable(&store));
    deposit(&store, 1).await;
    assert_eq!(runner.next().await, [2]);
    runner.stop().await;
}

#[tokio::test]
async fn a_closed_store_ends_it() {
    let store = open(MemoryEngine::new()).await;
    let mut runner = Runner::of(durable(&store).poll_interval(Duration::from_millis(5)));
    let ephemeral = store.ephemeral_subscription().poll_interval(Duration::from_millis(5));
    let ephemeral = Runner::of_ready(ephemeral).await;
    deposit(&store, 1).await;
    assert_eq!(runner.next().await, [1]);
    store.close().await.unwrap();
    for ended in [runner.ended().await, ephemeral.ended().await] {
        let Err(evercore::Error::Engine { source, .. }) = ended else { panic!("{ended:?}") };
        assert_eq!(source.kind(), evercore::engine::EngineErrorKind::Closed);
    }
}
