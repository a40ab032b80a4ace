//! Who owns a subscription, and how that ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use evercore::{Error, EventStore, StartFrom, Subscription, engine::EngineErrorKind};
use evercore_memory::MemoryEngine;
use futures_util::FutureExt as _;
use tokio::sync::mpsc;

use super::{
    faulty::{Fault, FaultyEngine, Gate, LOST, Op},
    support::{LONG, NEVER, Runner, assert_fenced, deposit, durable, open, soon, status},
};

/// It expires soon.
const SHORT: Duration = Duration::from_millis(60);

/// It is renewed in time, on a busy machine too.
const LEASE: Duration = Duration::from_millis(2_400);

/// Nobody else gets the subscription for longer than the lease.
async fn assert_kept(store: &EventStore) {
    let begun = Instant::now();
    while begun.elapsed() < LEASE + LEASE / 8 {
        let ended = Runner::of(durable(store)).ended().await;
        assert!(matches!(ended, Err(Error::AlreadyOwned { .. })), "{ended:?}");
        tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await.unwrap_err();
    }
}

/// A subscription whose handler never ends, and tells when it is dropped.
struct Stuck {
    runner: tokio::task::JoinHandle<evercore::Result<()>>,
    gate: Gate,
    is_dropped: Arc<AtomicBool>,
}

impl Stuck {
    /// One that has got its first batch.
    async fn in_handler(subscription: Subscription) -> Self {
        struct Tell(Arc<AtomicBool>);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let (gate, is_dropped) = (Gate::new(), Arc::new(AtomicBool::new(false)));
        let (inside, told) = (gate.clone(), Arc::clone(&is_dropped));
        let runner = tokio::spawn(subscription.run(move |_| {
            let (inside, told) = (inside.clone(), Tell(Arc::clone(&told)));
            async move {
                inside.pass().await;
                drop(told);
                Ok(())
            }
        }));
        soon(gate.reached()).await;
        Self { runner, gate, is_dropped }
    }

    /// It ends although its handler does not.
    async fn assert_fenced(self, part: &str) {
        assert_fenced(soon(self.runner).await.unwrap(), part);
        assert!(self.is_dropped.load(Ordering::SeqCst), "the handler is dropped");
    }
}

#[tokio::test]
async fn a_second_owner_is_refused_at_once() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 1).await;
    let first = Stuck::in_handler(durable(&store).owner("first")).await;
    let error = Runner::of(durable(&store)).ended().await.unwrap_err();
    let Error::AlreadyOwned { name, owner, remaining } = error else { panic!("{error:?}") };
    assert_eq!((&*name, &*owner), ("s", "first"));
    assert!(remaining > Duration::ZERO && remaining <= Duration::from_secs(15));
    first.gate.open();
    first.runner.abort();
}

#[tokio::test]
async fn who_stands_by_takes_over_at_once_after_a_release() {
    let store = open(MemoryEngine::new()).await;
    let first = Runner::of(durable(&store).lease(NEVER));
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    let (told, mut seen) = mpsc::unbounded_channel();
    for _ in 0..3 {
        let mut next = Runner::of(durable(&store).lease(NEVER).standby());
        let told = told.clone();
        // Whichever it is sees one event, and goes.
        tokio::spawn(async move {
            let batch = next.next().await;
            assert!(next.stop().await.is_empty());
            told.send(batch).unwrap();
        });
    }
    tokio::task::yield_now().await;
    assert!(first.stop().await.is_empty());
    for position in 1..=3 {
        deposit(&store, 1).await;
        assert_eq!(soon(seen.recv()).await.unwrap(), [position]);
    }
}

#[tokio::test]
async fn who_stands_by_hears_of_a_release_while_it_looks() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let (first, other) = (Runner::of(durable(&store).lease(NEVER)), Runner::of(store.subscription("other")));
    for name in ["s", "other"] {
        soon(store.wait_until_caught_up(name, LONG)).await.unwrap();
        while status(&store, name).await.owner.is_none() {
            tokio::task::yield_now().await;
        }
    }
    let claims = engine.calls(Op::Claim);
    let mut second = Runner::of(durable(&store).lease(NEVER).standby());
    while engine.calls(Op::Claim) == claims {
        tokio::task::yield_now().await;
    }
    // Another release makes it look, and what it sees is old when it sees it.
    let gate = Gate::new();
    engine.disturb(Op::List, [Fault::After(gate.clone())]);
    assert!(other.stop().await.is_empty());
    soon(gate.reached()).await;
    assert!(first.stop().await.is_empty());
    gate.open();
    deposit(&store, 1).await;
    assert_eq!(second.next().await, [1]);
    assert!(second.stop().await.is_empty());
}

#[tokio::test]
async fn who_stands_by_elsewhere_takes_over_within_a_poll_interval_after_a_release() {
    let engine = FaultyEngine::new();
    let (here, there) = (open(engine.clone()).await, open(engine.reopen()).await);
    let first = Runner::of(durable(&here).lease(NEVER));
    soon(here.wait_until_caught_up("s", LONG)).await.unwrap();
    let standby = durable(&there).lease(NEVER).standby().poll_interval(Duration::from_millis(5));
    let mut second = Runner::of(standby);
    tokio::task::yield_now().await;
    assert!(first.stop().await.is_empty());
    deposit(&here, 1).await;
    assert_eq!(second.next().await, [1]);
    assert!(second.stop().await.is_empty());
}

#[tokio::test]
async fn who_stands_by_takes_over_from_a_dead_owner_when_its_lease_has_expired() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 1).await;
    let first = Stuck::in_handler(durable(&store).lease(SHORT)).await;
    first.runner.abort();
    assert!(first.runner.await.unwrap_err().is_cancelled());
    let expires = status(&store, "s").await.lease_expires_at.unwrap();
    let mut second = Runner::of(durable(&store).standby());
    assert_eq!(second.next().await, [1], "what the first had not finished comes again");
    let expired = chrono::Utc::now() - expires;
    assert!(expired >= chrono::TimeDelta::zero(), "not before the lease expires");
    assert!(second.stop().await.is_empty());
}

#[tokio::test]
async fn a_long_handler_keeps_its_subscription() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 1).await;
    let first = Stuck::in_handler(durable(&store).lease(LEASE).owner("first")).await;
    assert_kept(&store).await;
    assert!(engine.calls(Op::Renew) > 1);
    first.gate.open();
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    assert!(!first.runner.is_finished());
    first.runner.abort();
}

#[tokio::test]
async fn renewals_that_fail_are_tried_again_soon() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 1).await;
    engine.disturb(Op::Renew, [LOST, Fault::Fails(EngineErrorKind::Other), LOST, Fault::Panics]);
    let first = Stuck::in_handler(durable(&store).lease(LEASE)).await;
    assert_kept(&store).await;
    assert!(engine.calls(Op::Renew) >= 5);
    assert!(!first.runner.is_finished());
    first.runner.abort();
}

#[tokio::test]
async fn a_renewal_that_gets_no_answer_is_given_up_in_time() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 1).await;
    engine.disturb(Op::Renew, [Fault::Before(Gate::new())]);
    let first = Stuck::in_handler(durable(&store).lease(LEASE)).await;
    assert_kept(&store).await;
    assert!(!first.runner.is_finished());
    first.runner.abort();
}

#[tokio::test]
async fn a_renewal_that_gets_no_answer_is_given_up_in_time_beside_a_long_lease() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 1).await;
    let long = store.subscription("long").lease(NEVER).poll_interval(NEVER);
    let mut long = Runner::of(long);
    long.next().await;
    engine.disturb(Op::Renew, [Fault::Before(Gate::new())]);
    let first = Stuck::in_handler(durable(&store).lease(LEASE)).await;
    assert_kept(&store).await;
    assert!(!first.runner.is_finished());
    first.runner.abort();
    long.stop().await;
}

#[tokio::test]
async fn an_owner_that_was_replaced_writes_nothing_and_ends() {
    let engine = FaultyEngine::new();
    let (here, there) = (open(engine.clone()).await, open(engine.reopen()).await);
    deposit(&here, 1).await;
    // It cannot renew, as if it had stood still.
    engine.break_down(Op::Renew, LOST);
    let first = Stuck::in_handler(durable(&here).lease(SHORT).owner("first")).await;
    let mut second = Runner::of(durable(&there).owner("second").standby());
    assert_eq!(second.next().await, [1]);
    soon(there.wait_until_caught_up("s", LONG)).await.unwrap();
    let before = status(&there, "s").await;
    first.gate.open();
    assert_fenced(soon(first.runner).await.unwrap(), "taken over by second");
    assert_eq!(status(&there, "s").await.moved_at, before.moved_at);
    assert_eq!(status(&there, "s").await.owner.as_deref(), Some("second"));
    assert!(second.stop().await.is_empty());
}

#[tokio::test]
async fn the_handler_of_an_owner_that_was_replaced_is_dropped() {
    let engine = FaultyEngine::new();
    let (here, there) = (open(engine.clone()).await, open(engine.reopen()).await);
    deposit(&here, 1).await;
    engine.break_down(Op::Renew, LOST);
    let first = Stuck::in_handler(durable(&here).lease(SHORT)).await;
    let mut second = Runner::of(durable(&there).owner("second").standby());
    assert_eq!(second.next().await, [1]);
    engine.repair(Op::Renew);
    first.assert_fenced("taken over by second").await;
    assert!(second.stop().await.is_empty());
}

#[tokio::test]
async fn changes_from_outside_stop_an_owner_in_this_process_at_once() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 1).await;
    let owned = || durable(&store).lease(NEVER);
    let first = Stuck::in_handler(owned()).await;
    store.pause_subscription("s").await.unwrap();
    first.assert_fenced("paused").await;
    store.resume_subscription("s").await.unwrap();

    let second = Stuck::in_handler(owned()).await;
    store.reset_subscription("s", StartFrom::Beginning).await.unwrap();
    second.assert_fenced("reset").await;

    let third = Stuck::in_handler(owned()).await;
    store.delete_subscription("s").await.unwrap();
    third.assert_fenced("deleted").await;

    let fourth = Stuck::in_handler(owned().owner("same")).await;
    let fifth = Stuck::in_handler(owned().owner("same")).await;
    store.delete_subscription("s").await.unwrap();
    fifth.assert_fenced("deleted").await;
    fourth.assert_fenced("").await;
}

#[tokio::test]
async fn one_defined_again_under_its_living_owner_does_not_belong_to_it() {
    let engine = FaultyEngine::new();
    let (here, there) = (open(engine.clone()).await, open(engine.reopen()).await);
    deposit(&here, 1).await;
    let first = Stuck::in_handler(durable(&here).lease(NEVER)).await;
    there.delete_subscription("s").await.unwrap();
    let mut second = Runner::of(durable(&there).owner("second"));
    assert_eq!(second.next().await, [1]);
    soon(there.wait_until_caught_up("s", LONG)).await.unwrap();
    first.gate.open();
    assert_fenced(soon(first.runner).await.unwrap(), "taken over by second");
    assert!(second.stop().await.is_empty());
}

#[tokio::test]
async fn a_pause_during_a_renewal_stops_the_owner_at_once() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 1).await;
    let gate = Gate::new();
    engine.disturb(Op::Renew, [Fault::After(gate.clone())]);
    // Renewed after a second for the first time, and not again for long.
    let lease = Duration::from_secs(3);
    let first = Stuck::in_handler(durable(&store).lease(lease)).await;
    soon(gate.reached()).await;
    let begun = Instant::now();
    store.pause_subscription("s").await.unwrap();
    gate.open();
    first.assert_fenced("paused").await;
    assert!(begun.elapsed() < lease / 4);
}

#[tokio::test]
async fn a_pause_during_the_claim_stops_the_owner_at_once() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let gate = Gate::new();
    engine.disturb(Op::Claim, [Fault::After(gate.clone())]);
    let runner = Runner::of(durable(&store).lease(NEVER));
    soon(gate.reached()).await;
    store.pause_subscription("s").await.unwrap();
    gate.open();
    assert_fenced(runner.ended().await, "paused");
}

#[tokio::test]
async fn claims_whose_answers_are_lost_are_made_again() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 1).await;
    engine.disturb(Op::Claim, [Fault::AnswerLost, LOST]);
    let mut runner = Runner::of(durable(&store));
    assert_eq!(runner.next().await, [1]);
    assert!(runner.stop().await.is_empty());
}

#[tokio::test]
async fn each_run_has_an_owner_of_its_own() {
    let store = open(MemoryEngine::new()).await;
    let mut owners = std::collections::HashSet::new();
    for _ in 0..20 {
        let runner = Runner::of(durable(&store));
        soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
        while status(&store, "s").await.owner.is_none() {
            tokio::task::yield_now().await;
        }
        owners.insert(status(&store, "s").await.owner.unwrap());
        runner.stop().await;
    }
    assert_eq!(owners.len(), 20);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn a_subscription_goes_on_when_the_runtime_of_another_one_ends() {
    let (first, second) = (runtime(), runtime());
    let engine = FaultyEngine::new();
    let (store, other, kept) = second.block_on(async {
        let store = open(engine.clone()).await;
        deposit(&store, 1).await;
        // The tasks that serve all subscriptions of the store belong to the first runtime.
        let other = store.subscription("other").lease(LEASE);
        let other = first.spawn(async { Stuck::in_handler(other).await }).await.unwrap();
        let kept = Stuck::in_handler(durable(&store).lease(LEASE)).await;
        (store, other, kept)
    });
    first.shutdown_timeout(LONG);
    second.block_on(async move {
        assert!(other.runner.await.unwrap_err().is_cancelled());
        assert_kept(&store).await;
        kept.gate.open();
        soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
        // The end of the log is followed, too.
        deposit(&store, 1).await;
        soon(kept.gate.reached()).await;
        kept.runner.abort();
    });
}

#[test]
fn a_runtime_that_has_ended_blocks_nobody() {
    let runtime = runtime();
    let store = runtime.block_on(async {
        let store = open(MemoryEngine::new()).await;
        deposit(&store, 1).await;
        store
    });
    let handle = runtime.handle().clone();
    runtime.shutdown_timeout(LONG);
    let (told, seen) = std::sync::mpsc::channel();
    // As a task that is still polled while its runtime shuts down: what it spawns is dropped on the spot.
    std::thread::spawn(move || {
        let _entered = handle.enter();
        let run = durable(&store).run(move |batch| {
            told.send(batch.len()).unwrap();
            async { Ok(()) }
        });
        let _ = run.now_or_never();
    });
    assert_eq!(seen.recv_timeout(LONG), Ok(1));
}
