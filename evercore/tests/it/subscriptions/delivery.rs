//! In order, nothing lost, at least once.

use evercore::{Error, Position, StartFrom, engine::EngineErrorKind};
use evercore_memory::MemoryEngine;

use super::{
    faulty::{Fault, FaultyEngine, Gate, LOST, Op},
    support::{LONG, NEVER, Runner, deposit, durable, open, soon, status},
};

#[tokio::test]
async fn batches_are_as_large_as_allowed_and_in_order() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 250).await;
    let mut runner = Runner::of(durable(&store));
    assert_eq!(runner.next().await, Vec::from_iter(1..=100));
    assert_eq!(runner.next().await, Vec::from_iter(101..=200));
    assert_eq!(runner.next().await, Vec::from_iter(201..=250));
    deposit(&store, 150).await;
    assert_eq!(runner.next().await, Vec::from_iter(251..=350));
    assert_eq!(runner.next().await, Vec::from_iter(351..=400));
    assert!(runner.stop().await.is_empty());
    let zero = durable(&store).reset(StartFrom::Beginning).batch_size(0);
    let mut runner = Runner::of(zero);
    assert_eq!(runner.next().await, [1], "0 counts as 1");
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_beside_many_writers_and_restarts() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let mut writers = Vec::new();
    for _ in 0..4 {
        let store = open(engine.reopen()).await;
        writers.push(tokio::spawn(async move {
            for events in 1..40 {
                deposit(&store, events % 7 + 1).await;
                tokio::task::yield_now().await;
            }
        }));
    }
    let mut all = Vec::new();
    let mut ephemeral =
        Runner::of_ephemeral(store.ephemeral_subscription().start(StartFrom::Beginning).poll_interval(NEVER));
    for round in 0..5 {
        let mut runner = Runner::of(durable(&store).batch_size(10).poll_interval(NEVER));
        all.extend(runner.next().await);
        if round < 3 {
            engine.disturb(Op::ReadLog, [LOST, LOST]);
            engine.disturb(Op::Checkpoint, [Fault::AnswerLost, LOST]);
        }
        all.extend(runner.stop().await);
        if store.head().await.unwrap().get() <= *all.last().unwrap() {
            deposit(&store, 1).await;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let runner = Runner::of(durable(&store).batch_size(10));
    let head = store.head().await.unwrap();
    soon(store.wait_for("s", head, LONG)).await.unwrap();
    all.extend(runner.stop().await);
    // What could not be stored before a restart came again.
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, Vec::from_iter(1..=head.get()));
    assert_eq!(ephemeral.take(all.len()).await, all);
    ephemeral.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_waited_for() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 2).await;
    let mut runner = Runner::of(durable(&store));
    assert_eq!(runner.next().await, [1, 2]);
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    let other = open(engine.reopen()).await;
    engine.set_down(true);
    deposit(&other, 1).await;
    // By the paused clock: as many tries as there are in an hour.
    let calls = engine.take_calls();
    super::elapse(std::time::Duration::from_secs(3600)).await;
    let tries: usize = engine.take_calls().values().sum();
    assert!((100..3 * 3600).contains(&tries), "{tries} tries in an hour, {calls:?} before");
    engine.set_down(false);
    assert_eq!(runner.next().await, [3]);
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    assert!(runner.stop().await.is_empty());
}

#[tokio::test]
async fn at_every_step_a_lost_connection_passes() {
    for op in [Op::List, Op::Head, Op::Define, Op::Claim, Op::ReadLog, Op::Checkpoint, Op::Types] {
        for fault in [LOST, Fault::AnswerLost, Fault::Fails(EngineErrorKind::Busy)] {
            let engine = FaultyEngine::new();
            let store = open(engine.clone()).await;
            deposit(&store, 5).await;
            engine.disturb(op, [fault.clone()]);
            let mut runner = Runner::of(durable(&store).batch_size(2));
            assert_eq!(runner.take(5).await, [1, 2, 3, 4, 5], "{op:?}, {fault:?}");
            engine.disturb(op, [fault.clone()]);
            deposit(&store, 1).await;
            assert_eq!(runner.next().await, [6], "{op:?}, {fault:?}");
            assert!(runner.stop().await.is_empty(), "{op:?}, {fault:?}: nothing comes twice");
        }
    }
}

#[tokio::test]
async fn what_does_not_pass_ends_it_and_is_shown() {
    for op in [Op::Claim, Op::ReadLog, Op::Checkpoint] {
        let engine = FaultyEngine::new();
        let store = open(engine.clone()).await;
        deposit(&store, 1).await;
        engine.break_down(op, Fault::Fails(EngineErrorKind::StorageFull));
        let ended = Runner::of(durable(&store)).ended().await;
        let Err(Error::Engine { source, .. }) = ended else { panic!("{op:?}: {ended:?}") };
        assert_eq!(source.kind(), EngineErrorKind::StorageFull);
        engine.repair(op);
        let status = status(&store, "s").await;
        assert_eq!(status.owner, None, "{op:?}: it was given up");
        if op != Op::Claim {
            let evercore::SubscriptionState::Failed(why) = status.state else { panic!("{status:?}") };
            assert!(why.contains("storage is full"), "{why}");
        }
        let mut runner = Runner::of(durable(&store));
        assert_eq!(runner.next().await, [1]);
        runner.stop().await;
    }
}

#[tokio::test]
async fn a_checkpoint_in_doubt_is_not_made_twice() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 4).await;
    engine.disturb(Op::Checkpoint, [Fault::AnswerLost, LOST, LOST, Fault::AnswerLost]);
    let mut runner = Runner::of(durable(&store).batch_size(2));
    assert_eq!(runner.next().await, [1, 2]);
    assert_eq!(runner.next().await, [3, 4]);
    soon(store.wait_for("s", Position::new(4), LONG)).await.unwrap();
    assert!(runner.stop().await.is_empty());
    assert!(Runner::to_head(&store, "s", durable(&store)).await.is_empty());
}

#[tokio::test]
async fn an_event_that_the_engine_drops_stops_it() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 5).await;
    engine.lose(3);
    let runner = Runner::of(durable(&store));
    let ephemeral = Runner::of_ephemeral(store.ephemeral_subscription().start(StartFrom::Beginning));
    for ended in [runner.ended().await, ephemeral.ended().await] {
        let Err(Error::Damaged { problem, .. }) = ended else { panic!("{ended:?}") };
        assert_eq!(problem, "event 4 arrived at position 4, and the one before it never did");
    }
    assert_eq!(status(&store, "s").await.cursor, Position::START);
}

#[tokio::test]
async fn an_event_that_the_engine_drops_near_the_head_stops_it() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let mut runner = Runner::of(durable(&store));
    deposit(&store, 1).await;
    assert_eq!(runner.next().await, [1]);
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    engine.lose(3);
    deposit(&store, 3).await;
    assert!(matches!(runner.ended().await, Err(Error::Damaged { .. })));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_delivered_the_cursor_is_stored_every_ten_seconds() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let other = open(engine.reopen()).await;
    let filtered = durable(&store).event::<crate::domain::UserLoggedIn>();
    let runner = Runner::of(filtered);
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    for _ in 0..60 {
        deposit(&other, 1).await;
        super::elapse(std::time::Duration::from_secs(1)).await;
    }
    let checkpoints = engine.calls(Op::Checkpoint);
    assert!((5..=7).contains(&checkpoints), "{checkpoints} in a minute");
    // What is considered last is stored, too.
    super::elapse(std::time::Duration::from_secs(11)).await;
    assert_eq!(status(&store, "s").await.cursor, store.head().await.unwrap());
    // And then there is nothing to store.
    engine.take_calls();
    super::elapse(std::time::Duration::from_secs(60)).await;
    assert_eq!(engine.calls(Op::Checkpoint), 0);
    runner.stop().await;
}

#[tokio::test]
async fn a_slow_read_does_not_keep_the_shutdown_waiting() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 1).await;
    let gate = Gate::new();
    engine.break_down(Op::ReadLog, Fault::Before(gate.clone()));
    let runner = Runner::of(durable(&store));
    soon(gate.reached()).await;
    assert!(runner.stop().await.is_empty());
    assert_eq!(status_owner(&engine).await, None);
}

async fn status_owner(engine: &FaultyEngine) -> Option<String> {
    let store = open(engine.reopen()).await;
    status(&store, "s").await.owner
}
