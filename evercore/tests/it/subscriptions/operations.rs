//! What operators and readers of their own writes ask for.

use std::time::Duration;

use evercore::{Error, OnFailure, Position, RetryPolicy, StartFrom, SubscriptionState};
use evercore_memory::MemoryEngine;

use super::{
    faulty::{Fault, FaultyEngine, Gate, Op},
    support::{LONG, NEVER, Runner, assert_fenced, deposit, durable, open, soon, status},
};
use crate::domain::{Deposited, UserLoggedIn, stored_user};

#[tokio::test]
async fn the_list_says_how_each_is_doing() {
    let store = open(MemoryEngine::new()).await;
    assert!(store.subscriptions().await.unwrap().is_empty());
    deposit(&store, 3).await;
    let mut owned = Runner::of(store.subscription("b").event::<Deposited>().owner("me").poll_interval(NEVER));
    assert_eq!(owned.next().await, [1, 2, 3]);
    soon(store.wait_until_caught_up("b", LONG)).await.unwrap();
    Runner::to_head(&store, "a", store.subscription("a").event::<UserLoggedIn>()).await;
    let policy = RetryPolicy::none();
    let failing = store.subscription("c").retry(policy).run(async |_| Err("no".into()));
    assert!(soon(failing).await.is_err());
    store.pause_subscription("a").await.unwrap();
    deposit(&store, 2).await;
    owned.take(2).await;
    soon(store.wait_until_caught_up("b", LONG)).await.unwrap();

    let all = store.subscriptions().await.unwrap();
    let [a, b, c] = &all[..] else { panic!("{all:?}") };
    assert_eq!([&a.name, &b.name, &c.name], ["a", "b", "c"]);
    assert_eq!([&a.filter, &b.filter, &c.filter], ["events UserLoggedIn", "events Deposited", "all events"]);
    assert_eq!([&a.state, &b.state], [&SubscriptionState::Paused, &SubscriptionState::Active]);
    let SubscriptionState::Failed(why) = &c.state else { panic!("{c:?}") };
    assert_eq!(why, "the subscription \"c\" cannot handle the event at position 1 (2 attempts): no");
    assert_eq!([a.cursor, b.cursor, c.cursor].map(Position::get), [3, 5, 0]);
    assert!(all.iter().all(|one| one.head.get() == 5));
    assert_eq!([a.positions_behind(), b.positions_behind(), c.positions_behind()], [2, 0, 5]);
    assert_eq!([a.lag, b.lag], [Duration::ZERO, Duration::ZERO], "nothing waits for them");
    assert!(c.lag > Duration::ZERO);
    assert_eq!([a.owner.as_deref(), b.owner.as_deref(), c.owner.as_deref()], [None, Some("me"), None]);
    let expires = b.lease_expires_at.unwrap() - chrono::Utc::now();
    assert!(expires > chrono::TimeDelta::zero() && expires <= chrono::TimeDelta::seconds(15));
    assert_eq!([a.lease_expires_at, c.lease_expires_at], [None, None]);
    assert!(b.moved_at > a.moved_at);
    owned.stop().await;
}

#[tokio::test]
async fn what_is_unknown_cannot_be_changed() {
    let store = open(MemoryEngine::new()).await;
    let answers = [
        store.pause_subscription("s").await,
        store.resume_subscription("s").await,
        store.reset_subscription("s", StartFrom::End).await,
        store.delete_subscription("s").await,
        store.wait_for("s", Position::new(1), Duration::from_millis(5)).await,
        store.wait_until_caught_up("s", Duration::from_millis(5)).await,
    ];
    for answer in answers {
        assert!(matches!(&answer, Err(Error::UnknownSubscription(name)) if &**name == "s"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_paused_one_is_not_run_until_it_is_resumed() {
    let store = open(MemoryEngine::new()).await;
    let runner = Runner::of(durable(&store).lease(NEVER));
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    store.pause_subscription("s").await.unwrap();
    assert_fenced(runner.ended().await, "paused");
    let ended = Runner::of(durable(&store)).ended().await;
    assert!(matches!(&ended, Err(Error::SubscriptionPaused(name)) if &**name == "s"), "{ended:?}");
    let mut standby = Runner::of(durable(&store).standby());
    deposit(&store, 1).await;
    tokio::task::yield_now().await;
    assert_eq!(status(&store, "s").await.owner, None);
    store.resume_subscription("s").await.unwrap();
    assert_eq!(standby.next().await, [1]);
    standby.stop().await;
}

#[tokio::test]
async fn a_reset_goes_anywhere_and_a_deletion_forgets() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 3).await;
    Runner::to_head(&store, "s", durable(&store)).await;
    for (start, wanted) in [
        (StartFrom::Beginning, &[1, 2, 3][..]),
        (StartFrom::After(Position::new(2)), &[3]),
        (StartFrom::End, &[]),
        (StartFrom::Since(chrono::DateTime::UNIX_EPOCH), &[1, 2, 3]),
    ] {
        store.reset_subscription("s", start).await.unwrap();
        assert_eq!(Runner::to_head(&store, "s", durable(&store)).await, wanted, "{start:?}");
    }
    store.delete_subscription("s").await.unwrap();
    assert!(store.subscriptions().await.unwrap().is_empty());
    let other = durable(&store).event::<Deposited>();
    assert_eq!(Runner::to_head(&store, "s", other).await, [1, 2, 3]);
}

#[tokio::test]
async fn one_who_stands_by_learns_of_a_deletion() {
    let store = open(MemoryEngine::new()).await;
    let owner = Runner::of(durable(&store).lease(NEVER));
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    let standby = Runner::of(durable(&store).lease(NEVER).standby());
    tokio::task::yield_now().await;
    store.delete_subscription("s").await.unwrap();
    assert_fenced(owner.ended().await, "deleted");
    assert!(matches!(standby.ended().await, Err(Error::UnknownSubscription(_))));
}

#[tokio::test]
async fn a_failed_one_is_active_again_when_it_is_run_or_reset() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 1).await;
    let fail = async || {
        let failing = durable(&store).retry(RetryPolicy::none()).run(async |_| Err("no".into()));
        assert!(soon(failing).await.is_err());
        assert!(matches!(status(&store, "s").await.state, SubscriptionState::Failed(_)));
    };
    fail().await;
    store.reset_subscription("s", StartFrom::Beginning).await.unwrap();
    assert_eq!(status(&store, "s").await.state, SubscriptionState::Active);
    fail().await;
    Runner::to_head(&store, "s", durable(&store)).await;
    assert_eq!(status(&store, "s").await.state, SubscriptionState::Active);
}

#[tokio::test]
async fn what_was_written_can_be_waited_for() {
    let engine = FaultyEngine::new();
    let (here, there) = (open(engine.clone()).await, open(engine.reopen()).await);
    // It may be waited for before it runs for the first time.
    let written = deposit(&here, 1).await;
    let waiting = tokio::spawn({
        let there = there.clone();
        async move { there.wait_for("s", written, LONG).await }
    });
    tokio::task::yield_now().await;
    let mut runner = Runner::of(durable(&here));
    soon(waiting).await.unwrap().unwrap();
    assert_eq!(runner.next().await, [1]);
    for position in 2..50 {
        let written = deposit(&there, 1).await;
        soon(there.wait_for("s", written, LONG)).await.unwrap();
        assert_eq!(status(&there, "s").await.cursor.get(), position);
    }
    runner.stop().await;
}

#[tokio::test]
async fn what_the_filter_holds_back_need_not_be_waited_for() {
    let store = open(MemoryEngine::new()).await;
    let filtered = durable(&store).event::<UserLoggedIn>();
    Runner::to_head(&store, "s", filtered).await;
    // Nobody runs it.
    let written = deposit(&store, 5).await;
    store.wait_for("s", written, Duration::ZERO).await.unwrap();
    store.wait_until_caught_up("s", Duration::ZERO).await.unwrap();
    stored_user(&store, "john", 1).await;
    store.wait_for("s", Position::new(6), Duration::ZERO).await.unwrap();
    let waited = store.wait_for("s", Position::new(7), Duration::from_millis(5)).await;
    let Err(Error::WaitTimedOut { name, position, cursor }) = waited else { panic!("{waited:?}") };
    assert_eq!((&*name, position.get(), cursor.get()), ("s", 7, 0));
    assert!(store.wait_until_caught_up("s", Duration::ZERO).await.is_err());
    // What is not there yet is not reached.
    assert!(store.wait_for("s", Position::new(8), Duration::ZERO).await.is_err());
}

#[tokio::test]
async fn what_is_skipped_need_not_be_waited_for() {
    let store = open(MemoryEngine::new()).await;
    let skipping = durable(&store).retry(RetryPolicy::none()).on_failure(OnFailure::Skip);
    let task = tokio::spawn(skipping.run(async |_| Err("no".into())));
    let written = deposit(&store, 3).await;
    soon(store.wait_for("s", written, LONG)).await.unwrap();
    task.abort();
}

#[tokio::test]
async fn times_of_any_length_can_be_given() {
    let store = open(MemoryEngine::new()).await;
    let mut runner =
        Runner::of(durable(&store).lease(Duration::MAX).poll_interval(Duration::MAX).batch_size(u32::MAX));
    let written = deposit(&store, 1).await;
    soon(store.wait_for("s", written, Duration::MAX)).await.unwrap();
    assert_eq!(runner.next().await, [1]);
    runner.stop().await;
    let mut runner = Runner::of(durable(&store).lease(Duration::ZERO).poll_interval(Duration::ZERO));
    deposit(&store, 1).await;
    assert_eq!(runner.next().await, [2]);
    runner.kill().await;
}

#[tokio::test]
async fn waiting_does_not_hide_what_the_store_says() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    engine.break_down(Op::List, Fault::Fails(evercore::engine::EngineErrorKind::StorageFull));
    let waited = store.wait_for("s", Position::new(1), LONG).await;
    assert!(matches!(waited, Err(Error::Engine { .. })), "{waited:?}");
}

#[tokio::test]
async fn waiting_ends_in_time_also_while_the_end_of_the_log_is_not_settled() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    Runner::to_head(&store, "s", durable(&store)).await;
    let written = deposit(&store, 1).await;
    // As while somebody who has appended does not end.
    engine.break_down(Op::Head, Fault::Before(Gate::new()));
    let waited = soon(store.wait_for("s", written, Duration::from_millis(5))).await;
    assert!(matches!(waited, Err(Error::WaitTimedOut { .. })), "{waited:?}");
    let waited = soon(store.wait_until_caught_up("s", Duration::from_millis(5))).await;
    assert!(matches!(waited, Err(Error::WaitTimedOut { .. })), "{waited:?}");
}

#[tokio::test]
async fn the_list_comes_also_while_the_end_of_the_log_is_not_settled() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 3).await;
    Runner::to_head(&store, "s", durable(&store)).await;
    engine.break_down(Op::Head, Fault::Before(Gate::new()));
    let status = status(&store, "s");
    let status = soon(status).await;
    assert_eq!((status.cursor.get(), status.head.get()), (3, 3));
}
