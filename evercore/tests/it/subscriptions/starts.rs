//! Which events come: filters and starts.

use chrono::{DateTime, TimeDelta, Utc};
use evercore::{Aggregate, AggregateId, Apply, EventStore, LogFilter, Position, StartFrom, event};
use evercore_memory::MemoryEngine;

use super::support::{LONG, Runner, deposit, durable, open, soon};
use crate::domain::{Account, Deposited, User, UserCreated, UserLoggedIn, log_in, stored_user};

/// The same filter in its three forms, under a name.
macro_rules! filters {
    ($id:expr, $($name:literal: $($method:ident$(::<$type:ty>)?($($argument:expr)?)).*;)*) => {
        vec![$((
            $name,
            LogFilter::new()$(.$method$(::<$type>)?($($argument)?))*,
            Box::new(|store: &EventStore, start| {
                durable_named(store, $name).start(start)$(.$method$(::<$type>)?($($argument)?))*
            }) as Box<dyn Fn(&EventStore, StartFrom) -> evercore::Subscription>,
            Box::new(|store: &EventStore, start| {
                store.ephemeral_subscription().start(start)$(.$method$(::<$type>)?($($argument)?))*
            }) as Box<dyn Fn(&EventStore, StartFrom) -> evercore::EphemeralSubscription>,
        )),*]
    };
}

fn durable_named(store: &EventStore, name: &str) -> evercore::Subscription {
    store.subscription(name).batch_size(3)
}

async fn expected(store: &EventStore, filter: LogFilter, after: Position) -> Vec<i64> {
    let page = store.log(filter, after).page(1_000).await.unwrap();
    page.events.iter().map(|event| event.position().get()).collect()
}

/// Some events of several aggregates; the fifth is the login of one that has a key.
async fn fill(store: &EventStore) -> AggregateId<User> {
    deposit(store, 2).await;
    let john = stored_user(store, "john", 2).await;
    stored_user(store, "jane", 1).await;
    let ctx = store.begin();
    let mut account = ctx.create_with_key::<Account>("john").await.unwrap();
    ctx.apply(&mut account, Deposited(1)).unwrap();
    ctx.commit().await.unwrap();
    john
}

async fn add(store: &EventStore, john: AggregateId<User>) {
    deposit(store, 3).await;
    log_in(store, john).await;
    stored_user(store, "jim", 4).await;
    log_in(store, john).await;
}

async fn time_of(store: &EventStore, position: i64) -> DateTime<Utc> {
    let mut log = store.log(LogFilter::new(), Position::new(position - 1));
    log.page(1).await.unwrap().events[0].recorded_at()
}

#[tokio::test]
async fn every_filter_with_every_start_delivers_what_it_says() {
    for start in 0..4 {
        let store = open(MemoryEngine::new()).await;
        let john = fill(&store).await;
        let head = store.head().await.unwrap();
        let time = time_of(&store, 5).await;
        let (start, after) = [
            (StartFrom::Beginning, Position::START),
            (StartFrom::End, head),
            (StartFrom::After(Position::new(4)), Position::new(4)),
            (StartFrom::Since(time), store.locate(time).await.unwrap()),
        ][start];
        let filters = filters! { john,
            "all": event::<UserLoggedIn>().event::<Deposited>().event::<UserCreated>();
            "one aggregate type": aggregate::<User>();
            "two aggregate types": aggregate::<User>().aggregate::<Account>();
            "one event type": event::<UserLoggedIn>();
            "two event types": event::<UserLoggedIn>().event::<Deposited>();
            "both": aggregate::<User>().event::<UserLoggedIn>().event::<Deposited>();
            "nothing": aggregate::<Account>().event::<UserLoggedIn>();
            "an id": id(john);
            "an id and a type": id(john).event::<UserLoggedIn>();
            "a key": key::<User>("john");
            "a key of another type": key::<Account>("john");
            "a key and a type": key::<User>("john").event::<UserLoggedIn>();
        };
        let mut running = Vec::new();
        for (name, filter, subscription, ephemeral) in &filters {
            let runner = Runner::of(subscription(&store, start));
            soon(store.wait_until_caught_up(name, LONG)).await.unwrap();
            running.push((*name, filter, runner, Runner::of_ready(ephemeral(&store, start)).await));
        }
        add(&store, john).await;
        for (name, filter, mut runner, mut ephemeral) in running {
            let wanted = expected(&store, filter.clone(), after).await;
            assert_eq!(runner.take(wanted.len()).await, wanted, "{name}, {start:?}, durable");
            assert_eq!(ephemeral.take(wanted.len()).await, wanted, "{name}, {start:?}, ephemeral");
            soon(store.wait_until_caught_up(name, LONG)).await.unwrap();
            assert!(runner.stop().await.is_empty(), "{name}, {start:?}, durable");
            assert!(ephemeral.stop().await.is_empty(), "{name}, {start:?}, ephemeral");
        }
    }
}

#[tokio::test]
async fn the_end_of_an_empty_store_is_kept_over_a_restart() {
    let engine = MemoryEngine::new();
    let store = open(engine.clone()).await;
    let end = |store: &EventStore| durable(store).start(StartFrom::End);
    assert!(Runner::to_head(&store, "s", end(&store)).await.is_empty());
    deposit(&store, 2).await;
    let store = open(engine.reopen()).await;
    assert_eq!(Runner::to_head(&store, "s", end(&store)).await, [1, 2]);
}

#[tokio::test]
async fn the_start_is_resolved_once() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 3).await;
    let at = |position| durable(&store).start(StartFrom::After(Position::new(position)));
    assert_eq!(Runner::to_head(&store, "s", at(2)).await, [3]);
    assert!(Runner::to_head(&store, "s", at(0)).await.is_empty());
    assert!(Runner::to_head(&store, "s", durable(&store)).await.is_empty());
}

#[tokio::test]
async fn a_time_to_come_is_the_end() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 3).await;
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let mut runner = Runner::of(durable(&store).start(StartFrom::Since(tomorrow)));
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    deposit(&store, 1).await;
    assert_eq!(runner.next().await, [4]);
    assert!(runner.stop().await.is_empty());
}

#[tokio::test]
async fn a_start_after_the_head_waits_for_the_log_to_get_there() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 1).await;
    let mut runner = Runner::of(durable(&store).start(StartFrom::After(Position::new(3))));
    let ephemeral = store.ephemeral_subscription().start(StartFrom::After(Position::new(3)));
    let mut ephemeral = Runner::of_ready(ephemeral).await;
    for _ in 0..3 {
        deposit(&store, 1).await;
    }
    assert_eq!(runner.next().await, [4]);
    assert_eq!(ephemeral.next().await, [4]);
    assert!(runner.stop().await.is_empty());
    assert!(ephemeral.stop().await.is_empty());
}

/// An event under its old name and under its new one.
mod before {
    use super::{Aggregate, Apply, event};

    #[derive(Debug, Default, Aggregate)]
    #[aggregate(name = "Parcel", events(Sent), snapshot = off)]
    pub(super) struct Parcel {}

    #[event(name = "Sent")]
    pub(super) struct Sent {}

    impl Apply<Sent> for Parcel {
        fn apply(&mut self, _: &Sent) {}
    }
}

mod after {
    use super::{Aggregate, Apply, event};

    #[derive(Debug, Default, Aggregate)]
    #[aggregate(name = "Package", alias = "Parcel", events(Shipped), snapshot = off)]
    pub(super) struct Package {}

    #[event(name = "Shipped", alias = "Sent")]
    pub(super) struct Shipped {}

    impl Apply<Shipped> for Package {
        fn apply(&mut self, _: &Shipped) {}
    }
}

async fn ship<A: Aggregate + Default, E>(store: &EventStore, event: E) -> Position
where
    E: evercore::EventOf<A>,
{
    let ctx = store.begin();
    let mut parcel = ctx.create::<A>().await.unwrap();
    ctx.apply(&mut parcel, event).unwrap();
    ctx.commit().await.unwrap().last_position().unwrap()
}

#[tokio::test]
async fn filters_let_events_through_under_all_their_names() {
    let store = open(MemoryEngine::new()).await;
    let filtered = durable(&store).aggregate::<after::Package>().event::<after::Shipped>();
    let mut runner = Runner::of(filtered);
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    ship::<before::Parcel, _>(&store, before::Sent {}).await;
    assert_eq!(runner.next().await, [1]);
    ship::<after::Package, _>(&store, after::Shipped {}).await;
    assert_eq!(runner.next().await, [2]);
    assert!(runner.stop().await.is_empty());
}

#[tokio::test]
async fn after_a_rename_the_subscription_is_the_same_and_waits_for_both_names() {
    let store = open(MemoryEngine::new()).await;
    ship::<before::Parcel, _>(&store, before::Sent {}).await;
    let earlier = durable(&store).aggregate::<before::Parcel>().event::<before::Sent>();
    assert_eq!(Runner::to_head(&store, "s", earlier).await, [1]);
    let later = || durable(&store).aggregate::<after::Package>().event::<after::Shipped>();
    let mut runner = Runner::of(later());
    ship::<before::Parcel, _>(&store, before::Sent {}).await;
    assert_eq!(runner.next().await, [2]);
    assert!(runner.stop().await.is_empty());
    // Nobody runs it: what comes now is not handled.
    let shipped = ship::<after::Package, _>(&store, after::Shipped {}).await;
    let waited = store.wait_for("s", shipped, std::time::Duration::ZERO).await;
    assert!(matches!(waited, Err(evercore::Error::WaitTimedOut { .. })), "{waited:?}");
    assert!(super::support::status(&store, "s").await.lag > std::time::Duration::ZERO);
    assert_eq!(Runner::to_head(&store, "s", later()).await, [3]);
}
