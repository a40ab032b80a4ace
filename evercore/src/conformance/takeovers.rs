//! Who runs a subscription, and what becomes of those who did.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{
    Harness,
    runs::{Gate, NEVER, NOTHING, Run, cursor, log, positions, quick_retry, status, subscription, until},
    samples::{deposit_once, open, open_two, stored_account},
    subscribers::{LEASE, NAME, SHORT_LEASE},
};
use crate::{
    Batch, Error, EventStore, HandlerError, RecordedEvent, StartFrom, Subscription, SubscriptionState,
    engine::Fenced,
};

/// A subscription whose handler does not go on before the gate is open.
fn gated(subscription: Subscription, gate: &Gate) -> Run {
    let gate = gate.clone();
    Run::by(subscription, move |_| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok(())
        }
    })
}

pub(super) async fn only_one_runs_it<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let mut run = Run::of(subscription(&store).owner("first"));
    stored_account(&store, "ada", 0).await;
    run.next().await;
    for rival in [&store, &other] {
        let (handled, error) = Run::of(subscription(rival)).failed().await;
        match error {
            Error::AlreadyOwned { name, owner, remaining } => {
                assert_eq!((&*name, &*owner), (NAME, "first"));
                assert!(remaining > Duration::ZERO && remaining <= LEASE, "{remaining:?}");
            }
            other => panic!("an owner was expected, not {other:?}"),
        }
        assert_eq!(handled, NOTHING);
    }
    // A name for each run is made when there is none.
    assert_eq!(run.stop().await, NOTHING);
    let mut owners = Vec::new();
    for _ in 0..2 {
        let run = Run::of(subscription(&store));
        until(&store, NAME, |status| status.owner.is_some()).await;
        owners.push(status(&store).await.owner.unwrap());
        run.stop().await;
    }
    assert_ne!(owners[0], owners[1]);
}

pub(super) async fn after_a_crash_the_lease_expires_and_another_goes_on<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    stored_account(&store, "ada", 19).await;
    let log = positions(&log(&store).await);
    let subscription = |store: &EventStore| subscription(store).lease(SHORT_LEASE).batch_size(5);

    let mut first = Run::of(subscription(&store).owner("first"));
    first.take(20).await;
    until(&store, NAME, |status| status.cursor.get() == log[19]).await;
    deposit_in(&store).await;
    first.next().await;
    first.crash().await;
    let mut second = Run::of(subscription(&other).owner("second").standby().poll_interval(NEVER));
    until(&store, NAME, |status| status.owner.as_deref() == Some("second")).await;
    deposit_in(&store).await;

    // The event before may not have got its checkpoint, those before that had it.
    let log = positions(&self::log(&store).await);
    let mut handled = vec![second.next().await];
    while handled.last() != log.last() {
        handled.push(second.next().await);
    }
    assert!(handled == log[20..] || handled == log[21..], "{handled:?} of {log:?}");
    assert_eq!(second.stop().await, NOTHING);
}

async fn deposit_in(store: &EventStore) {
    let account = store.load_by_key::<super::samples::Account>("ada").await.unwrap();
    deposit_once(store, account.id()).await.unwrap();
}

pub(super) async fn a_released_one_is_taken_over_at_once<H: Harness>(harness: H) {
    let store = open(&harness).await;
    stored_account(&store, "ada", 0).await;
    let mut first = Run::of(subscription(&store).owner("first"));
    first.next().await;
    let second = Run::of(subscription(&store).owner("second").standby().poll_interval(NEVER));
    first.stop().await;
    until(&store, NAME, |status| status.owner.as_deref() == Some("second")).await;
    assert_eq!(second.stop().await, NOTHING);
}

pub(super) async fn a_lease_is_renewed_while_a_handler_works<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    stored_account(&store, "ada", 0).await;
    let gate = Gate::shut();
    let _first = gated(subscription(&store).owner("first").lease(SHORT_LEASE), &gate);
    gate.reached().await;
    let begun = status(&other).await.lease_expires_at.unwrap();
    until(&other, NAME, |status| status.lease_expires_at.unwrap() > begun).await;
    assert_eq!(status(&other).await.owner.as_deref(), Some("first"));
}

pub(super) async fn a_former_owner_writes_nothing<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    stored_account(&store, "ada", 9).await;
    let log = positions(&log(&store).await);
    let gate = Gate::shut();
    let first = gated(subscription(&store).owner("twin"), &gate);
    gate.reached().await;

    // One with its name takes it over, and stops at the fourth event.
    let second_gate = Gate::shut();
    let handler = {
        let (gate, fourth) = (second_gate.clone(), log[3]);
        move |batch: Batch<RecordedEvent>| {
            let gate = gate.clone();
            async move {
                if batch.end().get() == fourth {
                    gate.pass().await;
                }
                Ok(())
            }
        }
    };
    let mut second = Run::by(subscription(&other).owner("twin").batch_size(1), handler);
    assert_eq!(second.take(3).await, log[..3]);
    second_gate.reached().await;

    gate.open();
    let (handled, error) = first.failed().await;
    assert_eq!(handled, log, "its handler was done, but not its checkpoint");
    assert_taken_over(&error, "twin");
    let status = status(&store).await;
    assert_eq!((status.cursor.get(), status.owner.as_deref()), (log[2], Some("twin")));
    assert_eq!(status.state, SubscriptionState::Active);
    second_gate.open();
    assert_eq!(second.take(7).await, log[3..]);
    assert_eq!(second.stop().await, NOTHING);
}

#[track_caller]
fn assert_taken_over(error: &Error, by: &str) {
    match error {
        Error::Fenced { name, reason: Fenced::TakenOver { owner } } => {
            assert_eq!((&**name, owner.as_str()), (NAME, by));
        }
        other => panic!("a take-over was expected, not {other:?}"),
    }
}

#[track_caller]
fn assert_fenced(error: &Error, because: &Fenced) {
    match error {
        Error::Fenced { name, reason } => assert_eq!((&**name, reason), (NAME, because)),
        other => panic!("an owner who is fenced was expected, not {other:?}"),
    }
}

/// Tells when it is dropped.
struct Dropped(Arc<Semaphore>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// A subscription whose handler never ends, and what tells that it has begun and that it was dropped.
fn endless(subscription: Subscription) -> (Run, Gate, Arc<Semaphore>) {
    let (gate, dropped) = (Gate::shut(), Arc::new(Semaphore::new(0)));
    let handler = {
        let (gate, dropped) = (gate.clone(), Arc::clone(&dropped));
        move |_| {
            let (gate, dropped) = (gate.clone(), Dropped(Arc::clone(&dropped)));
            async move {
                let _dropped = dropped;
                gate.pass().await;
                Ok::<_, HandlerError>(())
            }
        }
    };
    (Run::by(subscription, handler), gate, dropped)
}

pub(super) async fn the_handler_of_a_former_owner_is_cancelled<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    stored_account(&store, "ada", 0).await;
    let (first, gate, dropped) = endless(subscription(&store).owner("twin").lease(SHORT_LEASE));
    gate.reached().await;
    let mut second = Run::of(subscription(&other).owner("twin"));
    second.next().await;
    let (handled, error) = first.failed().await;
    assert_taken_over(&error, "twin");
    assert_eq!((handled, dropped.available_permits()), (vec![], 1));
}

pub(super) async fn changes_from_outside_stop_an_owner_in_this_process_at_once<H: Harness>(harness: H) {
    let store = open(&harness).await;
    stored_account(&store, "ada", 0).await;
    for reason in [Fenced::Changed, Fenced::Paused, Fenced::Deleted] {
        let (run, gate, dropped) = endless(subscription(&store));
        gate.reached().await;
        match reason {
            Fenced::Changed => store.reset_subscription(NAME, StartFrom::Beginning).await.unwrap(),
            Fenced::Paused => store.pause_subscription(NAME).await.unwrap(),
            _ => store.delete_subscription(NAME).await.unwrap(),
        }
        let (handled, error) = run.failed().await;
        assert_fenced(&error, &reason);
        assert_eq!((handled, dropped.available_permits()), (vec![], 1));
        if reason == Fenced::Paused {
            store.resume_subscription(NAME).await.unwrap();
        }
    }
}

pub(super) async fn a_paused_one_runs_when_it_is_resumed<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let id = stored_account(&store, "ada", 4).await;
    let log = positions(&log(&store).await);
    let run = Run::of(subscription(&store));
    store.wait_until_caught_up(NAME, NEVER).await.unwrap();
    run.stop().await;
    other.pause_subscription(NAME).await.unwrap();
    deposit_once(&store, id).await.unwrap();

    assert_eq!(status(&store).await.state, SubscriptionState::Paused);
    let (handled, error) = Run::of(subscription(&store)).failed().await;
    assert!(matches!(&error, Error::SubscriptionPaused(name) if &**name == NAME), "{error:?}");
    assert_eq!((handled, cursor(&store).await), (vec![], log[4]));

    let mut standby = Run::of(subscription(&store).standby().poll_interval(NEVER));
    store.resume_subscription(NAME).await.unwrap();
    assert_eq!([standby.next().await], positions(&self::log(&store).await)[5..]);
    assert_eq!(status(&store).await.state, SubscriptionState::Active);
    assert_eq!(standby.stop().await, NOTHING);
}

pub(super) async fn one_that_is_not_there_cannot_be_changed<H: Harness>(harness: H) {
    let store = open(&harness).await;
    for answer in [
        store.pause_subscription(NAME).await,
        store.resume_subscription(NAME).await,
        store.reset_subscription(NAME, StartFrom::Beginning).await,
        store.delete_subscription(NAME).await,
    ] {
        assert!(matches!(&answer, Err(Error::UnknownSubscription(name)) if &**name == NAME), "{answer:?}");
    }
    assert_eq!(store.subscriptions().await.unwrap(), []);
}

pub(super) async fn one_deleted_and_made_again_fences_its_old_owner<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    stored_account(&store, "ada", 9).await;
    let log = positions(&log(&store).await);
    let gate = Gate::shut();
    let old = gated(subscription(&store).owner("old").batch_size(2), &gate);
    gate.reached().await;
    other.delete_subscription(NAME).await.unwrap();

    let new_gate = Gate::shut();
    let new = gated(subscription(&other).owner("new").batch_size(3), &new_gate);
    new_gate.reached().await;
    gate.open();
    let (handled, error) = old.failed().await;
    assert_eq!(handled, log[..2]);
    assert_taken_over(&error, "new");
    assert_eq!(cursor(&store).await, 0, "the new one starts anew, and the old one does not move it");
    new_gate.open();
    let mut new = new;
    assert_eq!(new.take(10).await, log);
    assert_eq!(new.stop().await, NOTHING);
}

pub(super) async fn a_shutdown_finishes_the_batch_and_releases<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    stored_account(&store, "ada", 29).await;
    let log = positions(&log(&store).await);
    let gate = Gate::shut();
    let run = gated(subscription(&store).batch_size(10), &gate);
    gate.reached().await;
    let ended = run.request_stop();
    gate.open();
    assert_eq!(ended.in_good_order().await, log[..10]);

    let after = status(&other).await;
    assert_eq!((after.cursor.get(), after.owner, after.lease_expires_at), (log[9], None, None));
    assert_eq!(after.state, SubscriptionState::Active);
    // This fails unless it is free.
    let mut next = Run::of(subscription(&other));
    assert_eq!(next.take(20).await, log[10..]);
    assert_eq!(next.stop().await, NOTHING);
}

pub(super) async fn a_shutdown_ends_who_waits<H: Harness>(harness: H) {
    let store = open(&harness).await;
    stored_account(&store, "ada", 0).await;
    let mut owner = Run::of(subscription(&store).poll_interval(NEVER));
    owner.next().await;
    let standby = Run::of(subscription(&store).standby().poll_interval(NEVER));
    assert_eq!(standby.stop().await, NOTHING, "for its turn");
    assert_eq!(owner.stop().await, NOTHING, "for events");
    let gate = Gate::shut();
    gate.open();
    let handler = {
        let gate = gate.clone();
        move |_| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Err("it fails".into())
            }
        }
    };
    let retry = quick_retry(u32::MAX).with_base(NEVER).with_cap(NEVER);
    let failing = Run::by(subscription(&store).reset(StartFrom::Beginning).retry(retry), handler);
    gate.reached().await;
    assert_eq!(failing.stop().await, NOTHING, "for another try");
    assert_eq!(cursor(&store).await, 0);
}
