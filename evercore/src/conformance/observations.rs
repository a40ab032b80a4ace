//! How subscriptions are doing, and waiting for them.

use std::{sync::Arc, time::Duration};

use tokio::sync::Mutex;

use super::{
    Harness,
    runs::{Gate, Run, SOON, log, positions, quick_retry, status, subscription, until},
    samples::{Account, Opened, Order, deposit, deposit_once, open, open_two, stored_account},
    subscribers::{LEASE, NAME},
};
use crate::{Batch, Error, Position, RecordedEvent, StartFrom, SubscriptionState};

pub(super) async fn what_was_handled_can_be_read_after_waiting_for_it<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let handled = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let handled = Arc::clone(&handled);
        move |batch: Batch<RecordedEvent>| {
            let handled = Arc::clone(&handled);
            async move {
                handled.lock().await.extend(positions(&*batch));
                Ok(())
            }
        }
    };
    let run = Run::by(subscription(&store), handler);
    for round in 0..10 {
        let ctx = store.begin();
        ctx.apply(&mut ctx.load(id).await.unwrap(), deposit()).unwrap();
        let written = ctx.commit().await.unwrap().last_position().unwrap();
        let waiting = if round % 2 == 0 { &store } else { &other };
        waiting.wait_for(NAME, written, SOON).await.unwrap();
        assert_eq!(handled.lock().await.last(), Some(&written.get()));
    }
    deposit_once(&store, id).await.unwrap();
    other.wait_until_caught_up(NAME, SOON).await.unwrap();
    assert_eq!(*handled.lock().await, positions(&log(&store).await));
    assert_eq!(run.stop().await, *handled.lock().await);
}

pub(super) async fn what_the_filter_holds_back_need_not_be_waited_for<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let run = Run::of(subscription(&store).aggregate::<Order>().event::<Opened>());
    let by_id = Run::of(store.subscription("by id").lease(LEASE).id(crate::AggregateId::<Order>::new(77)));
    for name in [NAME, "by id"] {
        until(&store, name, |status| status.owner.is_some()).await;
    }
    let id = stored_account(&store, "ada", 10).await;
    for _ in 0..5 {
        deposit_once(&store, id).await.unwrap();
        for name in [NAME, "by id"] {
            store.wait_for(name, store.head().await.unwrap(), SOON).await.unwrap();
            store.wait_until_caught_up(name, SOON).await.unwrap();
        }
    }
    assert_eq!((run.stop().await, by_id.stop().await), (vec![], vec![]));
    // Nobody needs to run it.
    deposit_once(&store, id).await.unwrap();
    store.wait_until_caught_up(NAME, SOON).await.unwrap();
    assert_eq!(status(&store).await.lag, Duration::ZERO);
}

pub(super) async fn what_does_not_come_is_waited_for_until_the_time_is_over<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let gate = Gate::shut();
    let blocked = gate.clone();
    let run = Run::by(subscription(&store), move |_| {
        let gate = blocked.clone();
        async move {
            gate.pass().await;
            Ok(())
        }
    });
    stored_account(&store, "ada", 0).await;
    gate.reached().await;
    let head = store.head().await.unwrap();
    match store.wait_for(NAME, head, Duration::from_millis(20)).await {
        Err(Error::WaitTimedOut { name, position, cursor }) => {
            assert_eq!((&*name, position, cursor), (NAME, head, Position::START));
        }
        other => panic!("it should have timed out: {other:?}"),
    }
    gate.open();
    store.wait_for(NAME, head, SOON).await.unwrap();
    // Not even the position was written.
    let later = Position::new(head.get() + 1_000);
    let answer = store.wait_for(NAME, later, Duration::from_millis(20)).await;
    assert!(matches!(answer, Err(Error::WaitTimedOut { .. })), "{answer:?}");
    run.stop().await;
    let answer = store.wait_for("unknown", Position::START, Duration::from_millis(20)).await;
    assert!(matches!(&answer, Err(Error::UnknownSubscription(name)) if &**name == "unknown"), "{answer:?}");
}

pub(super) async fn one_that_is_behind_says_how_far<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let run = Run::of(subscription(&store).aggregate::<Account>().owner("me"));
    until(&store, NAME, |status| status.owner.as_deref() == Some("me")).await;
    let owned = status(&other).await;
    assert_eq!((owned.cursor, owned.head, owned.lag), (Position::START, Position::START, Duration::ZERO));
    assert_eq!((owned.positions_behind(), owned.state), (0, SubscriptionState::Active));
    assert!(owned.lease_expires_at > Some(owned.moved_at), "the lease is a long one");
    run.stop().await;

    stored_account(&store, "ada", 4).await;
    let head = other.head().await.unwrap();
    let behind = status(&other).await;
    assert_eq!((behind.head, behind.cursor), (head, Position::START));
    assert_eq!(behind.positions_behind(), u64::try_from(head.get()).unwrap());
    assert_eq!(behind.filter, "aggregates of Account");
    assert_eq!((behind.owner, behind.lease_expires_at), (None, None));
    until(&store, NAME, |status| status.lag > Duration::from_millis(1)).await;
    let mut run = Run::of(subscription(&store).aggregate::<Account>());
    run.take(5).await;
    until(&other, NAME, |status| status.cursor == head && status.lag == Duration::ZERO).await;
    run.stop().await;
}

pub(super) async fn all_are_listed_with_their_states<H: Harness>(harness: H) {
    let store = open(&harness).await;
    stored_account(&store, "ada", 0).await;
    let failing = |_| async { Err("it fails".into()) };
    let failing = Run::by(store.subscription("failed").retry(quick_retry(1)), failing);
    failing.failed().await;
    for name in ["paused", "active"] {
        let mut run = Run::of(store.subscription(name));
        run.next().await;
        run.stop().await;
    }
    store.pause_subscription("paused").await.unwrap();
    let listed = store.subscriptions().await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|status| (status.name, status.state)).collect();
    assert_eq!(
        listed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["active", "failed", "paused"]
    );
    assert_eq!((&listed[0].1, &listed[2].1), (&SubscriptionState::Active, &SubscriptionState::Paused));
    assert!(
        matches!(&listed[1].1, SubscriptionState::Failed(error) if error.contains("it fails")),
        "{listed:?}"
    );
    store.reset_subscription("failed", StartFrom::End).await.unwrap();
    store.delete_subscription("paused").await.unwrap();
    let listed = store.subscriptions().await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|status| (status.name, status.state)).collect();
    let active = |name: &str| (name.to_owned(), SubscriptionState::Active);
    assert_eq!(listed, [active("active"), active("failed")]);
}
