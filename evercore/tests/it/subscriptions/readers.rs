//! Wake-ups, many readers, and what they cost.

use std::time::Duration;

use evercore::{Aggregate, Apply, EventStore, LogFilter, Position, StartFrom, event};
use evercore_memory::MemoryEngine;
use tokio::sync::mpsc;

use super::{
    faulty::{Fault, FaultyEngine, Gate, LOST, Op},
    support::{LONG, NEVER, Runner, deposit, durable, open, positions, soon},
};
use crate::domain::{Account, Deposited, User, UserLoggedIn};

/// A type that nobody has used when the subscriptions begin.
#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Kept), snapshot = off)]
struct Secret {}

#[event]
struct Kept {}

impl Apply<Kept> for Secret {
    fn apply(&mut self, _: &Kept) {}
}

async fn keep(store: &EventStore) -> Position {
    let ctx = store.begin();
    let mut secret = ctx.create::<Secret>().await.unwrap();
    ctx.apply(&mut secret, Kept {}).unwrap();
    ctx.commit().await.unwrap().last_position().unwrap()
}

async fn many(store: &EventStore, count: usize) -> Vec<Runner> {
    let mut runners = Vec::new();
    for number in 0..count {
        let name = format!("s{number}");
        let subscription = store.subscription(&name).batch_size(10);
        runners.push(Runner::of(match number % 4 {
            0 => subscription,
            1 => subscription.aggregate::<Account>(),
            2 => subscription.event::<Deposited>().event::<UserLoggedIn>(),
            _ => subscription.aggregate::<User>(),
        }));
        soon(store.wait_until_caught_up(&name, LONG)).await.unwrap();
    }
    runners
}

#[tokio::test]
async fn a_commit_wakes_without_any_poll() {
    let store = open(MemoryEngine::new()).await;
    let mut runner = Runner::of(durable(&store));
    let ephemeral = store.ephemeral_subscription().poll_interval(NEVER);
    let mut ephemeral = Runner::of_ready(ephemeral).await;
    for position in 1..200 {
        deposit(&store, 1).await;
        assert_eq!(runner.next().await, [position]);
        assert_eq!(ephemeral.next().await, [position]);
    }
}

#[tokio::test]
async fn pages_near_the_head_are_read_once_for_all() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let mut runners = many(&store, 100).await;
    deposit(&store, 1).await;
    for (number, runner) in runners.iter_mut().enumerate().filter(|(number, _)| number % 4 != 3) {
        assert_eq!(runner.next().await, [1], "{number}");
    }
    engine.take_calls();
    for round in 0..20 {
        let head = deposit(&store, 25).await.get();
        for (number, runner) in runners.iter_mut().enumerate().filter(|(number, _)| number % 4 != 3) {
            assert_eq!(runner.take(25).await, Vec::from_iter(head - 24..=head), "{number}, {round}");
        }
    }
    let reads = engine.calls(Op::ReadLog);
    assert!(reads <= 2 * 20 + 5, "{reads} reads of 20 commits by 100 subscriptions");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_idle_subscriptions_ask_for_next_to_nothing() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 1).await;
    let runners = many(&store, 90).await;
    let mut others = Vec::new();
    for number in 0..10 {
        let name = format!("t{number}");
        // There is no such type yet.
        others.push(Runner::of(store.subscription(&name).event::<Kept>()));
        soon(store.wait_until_caught_up(&name, LONG)).await.unwrap();
    }
    super::elapse(Duration::from_secs(20)).await;
    engine.take_calls();
    super::elapse(Duration::from_secs(100)).await;
    let calls = engine.take_calls();
    let total: usize = calls.values().sum();
    assert!(total <= 2 * 100, "{total} calls in 100 seconds: {calls:?}");
    assert!(calls[&Op::ReadLog] >= 90, "they look at the log every second: {calls:?}");
    drop((runners, others));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_that_stand_by_ask_for_next_to_nothing() {
    let engine = FaultyEngine::new();
    let (here, there) = (open(engine.reopen()).await, open(engine.clone()).await);
    let owners = many(&here, 100).await;
    let mut standbys = Vec::new();
    for number in 0..100 {
        let subscription = there.subscription(format!("s{number}")).batch_size(10);
        standbys.push(Runner::of(
            match number % 4 {
                0 => subscription,
                1 => subscription.aggregate::<Account>(),
                2 => subscription.event::<Deposited>().event::<UserLoggedIn>(),
                _ => subscription.aggregate::<User>(),
            }
            .standby(),
        ));
    }
    super::elapse(Duration::from_secs(20)).await;
    engine.take_calls();
    super::elapse(Duration::from_secs(100)).await;
    let calls = engine.take_calls();
    let total: usize = calls.values().sum();
    assert!(total <= 3 * 100, "{total} calls in 100 seconds: {calls:?}");
    drop((owners, standbys));
}

#[tokio::test]
async fn a_slow_handler_holds_back_nobody_and_loses_nothing() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let (gate, (told, mut slow)) = (Gate::new(), mpsc::unbounded_channel());
    let inside = gate.clone();
    let task = tokio::spawn(store.subscription("slow").batch_size(1_000).run(move |batch| {
        told.send(positions(&batch)).unwrap();
        let inside = inside.clone();
        async move {
            inside.pass().await;
            Ok(())
        }
    }));
    let mut fast = Runner::of(durable(&store).batch_size(1_000));
    deposit(&store, 1).await;
    soon(gate.reached()).await;
    assert_eq!(fast.next().await, [1]);
    // More than is kept in memory.
    for _ in 0..15 {
        let head = deposit(&store, 1_000).await.get();
        assert_eq!(fast.take(1_000).await, Vec::from_iter(head - 999..=head));
    }
    let last = slow.recv().await.unwrap();
    assert_eq!(last, [1]);
    engine.take_calls();
    gate.open();
    let mut seen = Vec::new();
    while seen.len() < 15_000 {
        seen.extend(soon(slow.recv()).await.unwrap());
    }
    assert_eq!(seen, Vec::from_iter(2..=15_001));
    let reads = engine.calls(Op::ReadLog);
    assert!((1..=15).contains(&reads), "{reads}: what was dropped is read by who needs it");
    task.abort();
}

#[tokio::test]
async fn events_of_a_type_that_is_new_to_the_store_are_not_passed_over() {
    for elsewhere in [false, true] {
        let engine = FaultyEngine::new();
        let store = open(engine.clone()).await;
        let writer = if elsewhere { open(engine.reopen()).await } else { store.clone() };
        let mut runner = Runner::of(durable(&store).event::<Kept>());
        let by_type = store.ephemeral_subscription().aggregate::<Secret>().poll_interval(NEVER);
        let mut ephemeral = Runner::of_ready(by_type).await;
        deposit(&writer, 3).await;
        soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
        let position = keep(&writer).await.get();
        assert_eq!(runner.next().await, [position]);
        assert_eq!(ephemeral.next().await, [position]);
        assert!(runner.stop().await.is_empty());
    }
}

#[tokio::test]
async fn a_type_that_gets_its_id_between_look_up_and_read_is_not_passed_over() {
    // The catalogue is looked up, and before the answer comes the first event is stored.
    for op in [Op::Types, Op::ReadLog, Op::Head] {
        for early in [false, true] {
            let engine = FaultyEngine::new();
            let (store, writer) = (open(engine.clone()).await, open(engine.reopen()).await);
            deposit(&writer, 1).await;
            let gate = Gate::new();
            if early {
                engine.disturb(op, [Fault::After(gate.clone())]);
            }
            let start = durable(&store).start(StartFrom::After(Position::START)).event::<Kept>();
            let mut runner = Runner::of(start);
            if !early {
                soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
                engine.disturb(op, [Fault::After(gate.clone())]);
                deposit(&writer, 1).await;
            }
            let wait = async {
                gate.reached().await;
                keep(&writer).await;
                gate.open();
            };
            if tokio::time::timeout(Duration::from_millis(100), wait).await.is_err() {
                // This call is not made here, or only for this.
                gate.open();
                keep(&writer).await;
            }
            let kept = writer.head().await.unwrap().get();
            assert_eq!(runner.next().await, [kept], "{op:?}");
            runner.kill().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_is_followed_again_after_a_failure() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let writer = open(engine.reopen()).await;
    let ephemeral = store.ephemeral_subscription().poll_interval(NEVER);
    let mut runner = Runner::of_ready(ephemeral).await;
    deposit(&writer, 1).await;
    assert_eq!(runner.next().await, [1]);
    for round in 0..8 {
        engine.disturb(Op::ReadLog, vec![LOST; round]);
        deposit(&writer, 2).await;
        assert_eq!(runner.take(2).await.len(), 2);
    }
    engine.disturb(Op::ReadLog, [Fault::Panics]);
    deposit(&writer, 1).await;
    assert_eq!(runner.next().await, [18]);
}

#[tokio::test]
async fn reading_much_leaves_time_to_others() {
    let store = open(MemoryEngine::new()).await;
    for _ in 0..5 {
        deposit(&store, 1_000).await;
    }
    let (told, mut seen) = mpsc::unbounded_channel();
    let task = tokio::spawn(durable(&store).batch_size(1).run(move |batch| {
        told.send(positions(&batch)).unwrap();
        async { Ok(()) }
    }));
    // This task comes to its turn while that one has much to do.
    assert_eq!(seen.recv().await.unwrap(), [1]);
    assert!(seen.len() < 4_000, "{}", seen.len());
    store.pause_subscription("s").await.unwrap();
    assert!(matches!(soon(task).await.unwrap(), Err(evercore::Error::Fenced { .. })));
    assert!(seen.len() < 4_000, "{}", seen.len());
}

#[tokio::test]
async fn when_nobody_follows_the_log_nobody_reads_it() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let mut runner = Runner::of(durable(&store));
    deposit(&store, 1).await;
    assert_eq!(runner.next().await, [1]);
    runner.stop().await;
    // The task of the reader sees that it is not needed.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    engine.take_calls();
    deposit(&store, 1).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(engine.calls(Op::ReadLog), 0);
    // And one who comes later finds everything.
    let mut runner = Runner::of(durable(&store));
    assert_eq!(runner.next().await, [2]);
    deposit(&store, 1).await;
    assert_eq!(runner.next().await, [3]);
    runner.stop().await;
    assert_eq!(store.log(LogFilter::new(), Position::START).page(10).await.unwrap().events.len(), 3);
}
