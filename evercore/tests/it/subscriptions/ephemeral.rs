//! Subscriptions that write nothing.

use evercore::{Error, Position, StartFrom, engine::EngineErrorKind};
use evercore_memory::MemoryEngine;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tokio::sync::oneshot;

use super::{
    faulty::{Fault, FaultyEngine, LOST, Op},
    support::{LONG, NEVER, Runner, deposit, open, soon},
};
use crate::domain::{Account, AccountEvent, User, log_in, stored_user};

#[tokio::test]
async fn after_ready_no_commit_is_missed_and_before_it_none_comes() {
    let store = open(MemoryEngine::new()).await;
    for _ in 0..20 {
        let before = deposit(&store, 2).await;
        let (ready, is_ready) = oneshot::channel();
        let subscription = store.ephemeral_subscription().poll_interval(NEVER);
        let subscription = subscription.on_ready(move |position| ready.send(position).unwrap());
        let mut runner = Runner::of_ephemeral(subscription);
        assert_eq!(soon(is_ready).await.unwrap(), before);
        let after = deposit(&store, 1).await;
        assert_eq!(runner.next().await, [after.get()]);
        assert!(runner.stop().await.is_empty());
    }
}

#[tokio::test]
async fn it_writes_nothing_and_any_number_may_run() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let mut runners = Vec::new();
    for _ in 0..10 {
        runners.push(Runner::of_ready(store.ephemeral_subscription()).await);
    }
    let other = open(engine.reopen()).await;
    engine.take_calls();
    for position in 1..=20 {
        deposit(&other, 1).await;
        for runner in &mut runners {
            assert_eq!(runner.next().await, [position]);
        }
    }
    for runner in runners {
        assert!(runner.stop().await.is_empty());
    }
    let calls = engine.take_calls();
    let reads = [Op::ReadLog, Op::Head, Op::Types];
    assert!(calls.keys().all(|op| reads.contains(op)), "{calls:?}");
    assert!(store.subscriptions().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_lost_connections_nothing_is_missing_and_nothing_comes_twice() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let writer = open(engine.reopen()).await;
    engine.disturb(Op::Head, [LOST, LOST]);
    let mut runner = Runner::of_ready(store.ephemeral_subscription()).await;
    let mut stream = store.ephemeral_subscription().stream().await.unwrap();
    let mut wanted = 1;
    for round in 0..30 {
        engine.set_down(round % 3 == 0);
        let last = deposit(&writer, 7).await.get();
        if round % 3 == 0 {
            super::elapse(std::time::Duration::from_secs(20)).await;
            engine.set_down(false);
        }
        let seen = runner.take(7).await;
        assert_eq!(seen, Vec::from_iter(wanted..=last));
        for position in wanted..=last {
            let event = soon(stream.try_next()).await.unwrap().unwrap();
            assert_eq!(event.position().get(), position);
        }
        wanted = last + 1;
    }
    assert!(runner.stop().await.is_empty());
}

#[tokio::test]
async fn a_key_is_looked_up_before_it_is_ready() {
    let store = open(MemoryEngine::new()).await;
    let missing = store.ephemeral_subscription().key::<User>("john").stream().await;
    assert!(missing.err().unwrap().is_not_found());
    let john = stored_user(&store, "john", 0).await;
    let mut events = store.ephemeral_subscription().key::<User>("john").stream().await.unwrap();
    let rename = async |ctx: evercore::Context| {
        let mut user = ctx.load(john).await?;
        ctx.change_key(&mut user, "johnny")
    };
    store.with_context(rename).await.unwrap();
    let other = stored_user(&store, "john", 2).await;
    log_in(&store, other).await;
    log_in(&store, john).await;
    let event = soon(events.try_next()).await.unwrap().unwrap();
    assert_eq!(event.aggregate_id(), john.untyped());
}

#[tokio::test]
async fn a_stream_decodes_and_ends_by_its_shutdown() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 3).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let subscription = store.ephemeral_subscription().start(StartFrom::After(Position::new(1)));
    let subscription = subscription.decode::<Account>().batch_size(2).until(async { drop(stopped.await) });
    let mut events = subscription.stream().await.unwrap();
    for amount in [2, 3] {
        let decoded = soon(events.try_next()).await.unwrap().unwrap();
        assert!(matches!(decoded.event, AccountEvent::Deposited(event) if event.0 == amount));
    }
    stop.send(()).unwrap();
    assert!(soon(events.next()).await.is_none());
    assert!(soon(events.next()).await.is_none());
}

#[tokio::test]
async fn a_stream_ends_after_an_error() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let mut events = store.ephemeral_subscription().start(StartFrom::Beginning).stream().await.unwrap();
    engine.break_down(Op::ReadLog, Fault::Fails(EngineErrorKind::Corrupt));
    deposit(&store, 1).await;
    let error = soon(events.next()).await.unwrap();
    assert!(matches!(error, Err(Error::Engine { .. })), "{error:?}");
    assert!(soon(events.next()).await.is_none());
}

#[tokio::test]
async fn dropping_a_next_event_loses_nothing() {
    let store = open(MemoryEngine::new()).await;
    let mut events = store.ephemeral_subscription().batch_size(2).stream().await.unwrap();
    for position in 1..=9 {
        // It has to wait, and is dropped.
        assert!(events.next().now_or_never().is_none());
        deposit(&store, 1).await;
        assert_eq!(soon(events.try_next()).await.unwrap().unwrap().position().get(), position);
    }
}

#[tokio::test]
async fn a_handler_that_keeps_failing_ends_it() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 3).await;
    let mut attempts = 0;
    let subscription = store.ephemeral_subscription().start(StartFrom::Beginning);
    let ended = subscription.retry(super::support::quick(2)).run(|batch| {
        attempts += 1;
        let fails = batch.iter().any(|event| event.position().get() == 2);
        async move { if fails { Err("no".into()) } else { Ok(()) } }
    });
    let ended = tokio::time::timeout(LONG, ended).await.unwrap();
    assert!(matches!(ended, Err(Error::SubscriptionFailed { position, .. }) if position.get() == 2));
    assert_eq!(attempts, 2 + 1 + 2);
}
