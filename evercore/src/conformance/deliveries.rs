//! What subscriptions deliver: the right events, in their order, when they are there.

use super::{
    Harness,
    runs::{NEVER, NOTHING, Run, SOON, log, positions, status, subscription, until},
    samples::{Account, Deposited, Opened, Order, deposit, deposit_once, open, open_two, stored_account},
    subscribers::{LEASE, NAME},
};
use crate::{
    Aggregate, AggregateId, Batch, Context, EventStore, RecordedEvent, StartFrom, Subscription, state_event,
};

/// Nobody knows it before it is first written.
#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Packed, Sent), snapshot = off)]
struct Parcel {
    items: u32,
    is_sent: bool,
}

#[state_event(Parcel)]
struct Packed {
    items: u32,
}

#[state_event(Parcel)]
struct Sent {
    is_sent: bool,
}

/// A kind of filter: how a subscription asks for it, and what it means.
struct Kind {
    name: &'static str,
    filter: Box<dyn Fn(Subscription) -> Subscription + Send + Sync>,
    allows: Box<dyn Fn(&RecordedEvent) -> bool + Send + Sync>,
}

fn kind(
    name: &'static str,
    filter: impl Fn(Subscription) -> Subscription + Send + Sync + 'static,
    allows: impl Fn(&RecordedEvent) -> bool + Send + Sync + 'static,
) -> Kind {
    Kind { name, filter: Box::new(filter), allows: Box::new(allows) }
}

fn kinds(ada: AggregateId<Account>, eve: AggregateId<Account>) -> Vec<Kind> {
    vec![
        kind("all", |all| all, |_| true),
        kind("aggregate", Subscription::aggregate::<Account>, |event| event.aggregate_type() == "Account"),
        kind(
            "two aggregates",
            |all| all.aggregate::<Order>().aggregate::<Parcel>(),
            |event| ["Order", "Parcel"].contains(&event.aggregate_type()),
        ),
        kind("event", Subscription::event::<Sent>, |event| event.event_type() == "Sent"),
        kind(
            "events",
            |all| all.event::<Opened>().event::<Packed>().event::<Sent>(),
            |event| ["Opened", "Packed", "Sent"].contains(&event.event_type()),
        ),
        kind(
            "an event of an aggregate",
            |all| all.aggregate::<Order>().event::<Deposited>(),
            |event| (event.aggregate_type(), event.event_type()) == ("Order", "Deposited"),
        ),
        kind("key", |all| all.key::<Account>("ada"), move |event| event.aggregate_id() == ada.untyped()),
        kind(
            "an event of an id",
            move |all| all.id(eve).event::<Deposited>(),
            move |event| (event.aggregate_id(), event.event_type()) == (eve.untyped(), "Deposited"),
        ),
        kind("id", move |all| all.id(eve), move |event| event.aggregate_id() == eve.untyped()),
    ]
}

pub(super) async fn every_filter_from_every_start_delivers_exactly_its_events<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let (ada, eve) = (stored_account(&store, "ada", 2).await, stored_account(&store, "eve", 2).await);
    write_some(&store, ada, eve).await;
    let before = log(&store).await;
    let middle = &before[before.len() / 2];
    let since = before.iter().position(|event| event.recorded_at() >= middle.recorded_at()).unwrap();
    // Where it starts, and the place of its first event in the log.
    let starts = [
        (StartFrom::Beginning, 0),
        (StartFrom::End, before.len()),
        (StartFrom::After(middle.position()), before.len() / 2 + 1),
        (StartFrom::Since(middle.recorded_at()), since),
    ];

    let kinds = kinds(ada, eve);
    let mut runs = Vec::new();
    for kind in &kinds {
        for (start, first) in starts {
            let name = format!("{} from {start:?}", kind.name);
            let subscription = (kind.filter)(store.subscription(&name).start(start).batch_size(3));
            runs.push((Run::of(subscription.lease(LEASE)), name, kind, first));
        }
    }
    for (_, name, ..) in &runs {
        until(&store, name, |_| true).await;
    }
    // The key is not looked up again.
    let rename = async |ctx: Context| ctx.change_key(&mut ctx.load(ada).await?, "ida");
    store.with_context(rename).await.unwrap();
    write_some(&store, ada, eve).await;
    let after = log(&store).await;
    for (run, name, kind, first) in runs {
        store.wait_until_caught_up(&name, SOON).await.unwrap();
        let expected = after[first..].iter().filter(|event| (kind.allows)(event));
        assert_eq!(run.stop().await, positions(expected), "{name}");
    }
}

/// Events of all types.
async fn write_some(store: &EventStore, ada: AggregateId<Account>, eve: AggregateId<Account>) {
    for id in [ada, eve] {
        deposit_once(store, id).await.unwrap();
    }
    order(store, 2).await;
    let parcel = store.with_context(async |ctx| {
        let mut parcel = ctx.create::<Parcel>().await?;
        ctx.apply(&mut parcel, Packed { items: 3 })?;
        ctx.apply(&mut parcel, Sent { is_sent: true })?;
        ctx.apply(&mut ctx.load(ada).await?, deposit())
    });
    parcel.await.unwrap();
}

/// A new order with so many events.
async fn order(store: &EventStore, deposits: usize) {
    let written = store.with_context(async |ctx| {
        let mut order = ctx.create::<Order>().await?;
        (0..deposits).try_for_each(|_| ctx.apply(&mut order, deposit()))
    });
    written.await.unwrap();
}

pub(super) async fn from_the_end_of_an_empty_store_all_that_comes_later_is_delivered<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let at_end = |store: &EventStore| subscription(store).start(StartFrom::End);
    let run = Run::of(at_end(&store));
    until(&store, NAME, |_| true).await;
    assert_eq!(run.stop().await, NOTHING);
    store.close().await.unwrap();

    let store = open(&harness).await;
    let run = Run::of(at_end(&store));
    until(&store, NAME, |status| status.owner.is_some()).await;
    assert_eq!(run.stop().await, NOTHING);
    let id = stored_account(&store, "ada", 1).await;
    let mut run = Run::of(at_end(&store));
    assert_eq!(run.take(2).await, positions(&log(&store).await));
    deposit_once(&store, id).await.unwrap();
    assert_eq!([run.next().await], positions(&log(&store).await)[2..]);
    assert_eq!(run.stop().await, NOTHING);
}

pub(super) async fn a_type_that_is_used_for_the_first_time_is_delivered<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let mut aggregates = Run::of(subscription(&store).aggregate::<Parcel>());
    let mut events = Run::of(store.subscription("events").lease(LEASE).event::<Sent>().event::<Packed>());
    for name in [NAME, "events"] {
        until(&store, name, |status| status.owner.is_some()).await;
    }
    let id = stored_account(&other, "ada", 1).await;
    let eve = stored_account(&other, "eve", 0).await;
    write_some(&other, id, eve).await;
    let log = log(&other).await;
    let expected = positions(log.iter().filter(|event| event.aggregate_type() == "Parcel"));
    assert_eq!(aggregates.take(2).await, expected);
    assert_eq!(events.take(2).await, expected);
}

pub(super) async fn a_commit_wakes_one_that_waits<H: Harness>(harness: H) {
    let store = open(&harness).await;
    assert_woken(&store, &store).await;
}

pub(super) async fn a_commit_by_another_engine_wakes_one_that_waits<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    assert_woken(&store, &other).await;
}

/// Each commit arrives although nobody polls.
async fn assert_woken(store: &EventStore, writer: &EventStore) {
    let id = stored_account(writer, "ada", 0).await;
    let mut durable = Run::of(subscription(store).poll_interval(NEVER));
    let mut rare = Run::of(store.subscription("rare").lease(LEASE).poll_interval(NEVER).event::<Sent>());
    let ephemeral = store.ephemeral_subscription().poll_interval(NEVER);
    let mut ephemeral = Run::ephemeral(ephemeral.start(StartFrom::Beginning));
    let mut known = durable.take(1).await;
    assert_eq!(ephemeral.take(1).await, known);
    for _ in 0..20 {
        deposit_once(writer, id).await.unwrap();
        known.push(durable.next().await);
        assert_eq!(ephemeral.next().await, *known.last().unwrap());
    }
    assert_eq!(known, positions(&log(store).await));
    write_some(writer, id, stored_account(writer, "eve", 0).await).await;
    rare.next().await;
}

pub(super) async fn a_handler_may_commit_through_the_store<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 30).await;
    let handler = {
        let store = store.clone();
        move |batch: Batch<RecordedEvent>| {
            let store = store.clone();
            async move {
                order(&store, batch.len()).await;
                Ok(())
            }
        }
    };
    let mut run = Run::by(subscription(&store).aggregate::<Account>().batch_size(5), handler);
    run.take(31).await;
    deposit_once(&store, id).await.unwrap();
    run.next().await;
    assert_eq!(run.stop().await, NOTHING);
    let orders = log(&store).await.iter().filter(|event| event.aggregate_type() == "Order").count();
    assert_eq!(orders, 32);
    assert_eq!(status(&store).await.lag, std::time::Duration::ZERO);
}
