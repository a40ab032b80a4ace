//! Names and aliases of types, over a rename in the code.

use evercore::{
    Aggregate, Apply, EventStore, LogFilter, Position, RecordedEvent, engine::StorageEngine, event,
};
use evercore_memory::MemoryEngine;
use serde::{Deserialize, Serialize};

/// The program before two renames.
mod long_before {
    use super::{Aggregate, Apply, event};

    #[event]
    pub(crate) struct CameBy {}

    #[derive(Debug, Default, Aggregate)]
    #[aggregate(events(CameBy), snapshot = off)]
    pub(crate) struct Guest {}

    impl Apply<CameBy> for Guest {
        fn apply(&mut self, _event: &CameBy) {}
    }
}

/// The program before the rename.
mod before {
    use super::{Aggregate, Apply, Deserialize, Serialize, event};

    #[event]
    pub(crate) struct Visited {}

    #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(events(Visited))]
    pub(crate) struct User {
        pub(crate) visits: u64,
    }

    impl Apply<Visited> for User {
        fn apply(&mut self, _event: &Visited) {
            self.visits += 1;
        }
    }
}

/// The same program after it.
mod after {
    use super::{Aggregate, Apply, Deserialize, Serialize, event};

    #[event(name = "CustomerVisited", alias = "Visited", alias = "CameBy")]
    pub(crate) struct Visit {}

    #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "Customer", alias = "User", alias = "Guest", events(Visit))]
    pub(crate) struct Customer {
        pub(crate) visits: u64,
    }

    impl Apply<Visit> for Customer {
        fn apply(&mut self, _event: &Visit) {
            self.visits += 1;
        }
    }
}

/// A version between the two, which forgot the alias.
mod between {
    use super::{Aggregate, Apply, Deserialize, Serialize, before::Visited};

    #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "Customer", events(Visited))]
    pub(crate) struct Customer {
        pub(crate) visits: u64,
    }

    impl Apply<Visited> for Customer {
        fn apply(&mut self, _event: &Visited) {
            self.visits += 1;
        }
    }
}

async fn visited_user(store: &EventStore, key: &str) -> evercore::AggregateId {
    store
        .with_context(async |ctx| {
            let mut user = ctx.create_with_key::<before::User>(key).await?;
            ctx.apply(&mut user, before::Visited {})?;
            Ok(user.id().untyped())
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn where_both_names_are_stored_an_aggregate_keeps_its_own() {
    let engine = MemoryEngine::new();
    let old = EventStore::open::<before::User>(engine.clone()).await.unwrap();
    let id = visited_user(&old, "john").await;
    EventStore::open::<between::Customer>(engine.clone()).await.unwrap();
    let new = EventStore::open::<after::Customer>(engine).await.unwrap();
    new.with_context(async |ctx| {
        let mut customer = ctx.load(id.typed::<after::Customer>()).await?;
        ctx.change_key(&mut customer, "johnny")?;
        ctx.apply(&mut customer, after::Visit {})?;
        ctx.publish(customer.id(), customer.sequence(), evercore::RawEvent::from_json("Visited", "{}")).await
    })
    .await
    .unwrap();

    let history = new.read_only().history(id).await.unwrap();
    assert_eq!((history.aggregate_type.as_str(), history.events.len()), ("User", 3));
    assert!(history.events.iter().all(|event| event.aggregate_type() == "User"), "{history:?}");
    assert!(old.load_by_key::<before::User>("john").await.unwrap_err().is_not_found());
    assert_eq!(old.read_only().find_by_key::<before::User>("johnny").await.unwrap(), Some(id.typed()));
}

#[tokio::test]
async fn an_aggregate_under_a_name_that_is_stored_later_is_found() {
    let engine = MemoryEngine::new();
    visited_user(&EventStore::open::<before::User>(engine.clone()).await.unwrap(), "john").await;
    let new = EventStore::open::<after::Customer>(engine.clone()).await.unwrap();
    let between = EventStore::open::<between::Customer>(engine).await.unwrap();
    let id = between
        .with_context(async |ctx| Ok(ctx.create::<between::Customer>().await?.id().untyped()))
        .await
        .unwrap();
    assert_eq!(new.load(id.typed::<after::Customer>()).await.unwrap().visits, 0);
}

#[tokio::test]
async fn what_was_stored_under_an_alias_is_found_and_goes_on() {
    let engine = MemoryEngine::new();
    let old = EventStore::open::<before::User>(engine.clone()).await.unwrap();
    let id = old
        .with_context(async |ctx| {
            let mut user = ctx.create_with_key::<before::User>("john").await?;
            ctx.apply(&mut user, before::Visited {})?;
            Ok(user.id())
        })
        .await
        .unwrap();

    let new = EventStore::open::<after::Customer>(engine).await.unwrap();
    let ctx = new.begin();
    let mut customer = ctx.load_or_create::<after::Customer>("john").await.unwrap();
    assert_eq!((customer.id().untyped(), customer.visits), (id.untyped(), 1));
    ctx.apply(&mut customer, after::Visit {}).unwrap();
    ctx.commit().await.unwrap();
    assert_eq!(new.load(customer.id()).await.unwrap().visits, 2);

    let filter = LogFilter::new().aggregate::<after::Customer>().event::<after::Visit>();
    let events = new.log(filter, Position::START).page(10).await.unwrap().events;
    let names: Vec<_> = events.iter().map(RecordedEvent::event_type).collect();
    assert_eq!(names, ["Visited", "CustomerVisited"], "new events have the new name");
    for event in &events {
        event.decode::<after::Customer>().unwrap();
        assert!(event.decode_event::<after::Visit>().unwrap().is_some());
    }
    // A key stays unique over the rename.
    let ctx = new.begin();
    ctx.create_with_key::<after::Customer>("john").await.unwrap();
    assert!(matches!(ctx.commit().await, Err(evercore::Error::DuplicateKey { .. })));
}

#[tokio::test]
async fn each_of_several_aliases_is_read_and_found() {
    let engine = MemoryEngine::new();
    let oldest = EventStore::open::<long_before::Guest>(engine.clone()).await.unwrap();
    let id = oldest
        .with_context(async |ctx| {
            let mut guest = ctx.create::<long_before::Guest>().await?;
            ctx.apply(&mut guest, long_before::CameBy {})?;
            Ok(guest.id().untyped())
        })
        .await
        .unwrap();
    let old = EventStore::open::<before::User>(engine.clone()).await.unwrap();
    let other = visited_user(&old, "john").await;

    let new = EventStore::open::<after::Customer>(engine).await.unwrap();
    for id in [id, other] {
        assert_eq!(new.load(id.typed::<after::Customer>()).await.unwrap().visits, 1);
    }
    let by_event = LogFilter::new().event::<after::Visit>();
    let by_both = by_event.clone().aggregate::<after::Customer>();
    for filter in [by_event, by_both] {
        let events = new.log(filter, Position::START).page(10).await.unwrap().events;
        let names: Vec<_> = events.iter().map(RecordedEvent::event_type).collect();
        assert_eq!(names, ["CameBy", "Visited"]);
        for event in &events {
            event.decode::<after::Customer>().unwrap();
            assert!(event.decode_event::<after::Visit>().unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn where_no_alias_is_stored_the_name_is() {
    let store = EventStore::open::<after::Customer>(MemoryEngine::new()).await.unwrap();
    let id = store
        .with_context(async |ctx| {
            let mut customer = ctx.create::<after::Customer>().await?;
            ctx.apply(&mut customer, after::Visit {})?;
            Ok(customer.id())
        })
        .await
        .unwrap();
    let history = store.read_only().history(id).await.unwrap();
    assert_eq!(history.aggregate_type, "Customer");
    assert_eq!(history.events[0].event_type(), "CustomerVisited");
}

/// What the macros refuse can still be written by hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Misnamed {}

impl evercore::Event for Misnamed {
    const NAME: &'static str = "mis\0named";
}

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Misnamed), snapshot = off)]
struct Odd {}

impl Apply<Misnamed> for Odd {
    fn apply(&mut self, _event: &Misnamed) {}
}

#[tokio::test]
async fn a_name_with_nul_is_refused_before_anything_is_stored() {
    let engine = MemoryEngine::new();
    let error = EventStore::open::<Odd>(engine.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "name of an event type contains U+0000 at byte 3");
    let store = EventStore::open::<after::Customer>(engine.clone()).await.unwrap();
    let error = store.begin().create::<Odd>().await.unwrap_err();
    assert!(matches!(error, evercore::Error::InvalidText(_)), "{error}");
    assert!(engine.types().await.unwrap().events.iter().all(|(_, name)| !name.contains('\0')));
}

// The new version of the program was the first to open the store; then the old one comes back.
#[tokio::test]
async fn a_filter_lets_events_through_that_get_an_old_name_later() {
    let engine = MemoryEngine::new();
    let new = EventStore::open::<after::Customer>(engine.clone()).await.unwrap();
    let mut by_event = new.log(LogFilter::new().event::<after::Visit>(), Position::START);
    let mut by_aggregate = new.log(LogFilter::new().aggregate::<after::Customer>(), Position::START);
    assert_eq!(by_event.page(9).await.unwrap().events.len(), 0);
    assert_eq!(by_aggregate.page(9).await.unwrap().events.len(), 0);
    visited_user(&EventStore::open::<before::User>(engine).await.unwrap(), "john").await;
    assert_eq!(by_event.page(9).await.unwrap().events.len(), 1);
    assert_eq!(by_aggregate.page(9).await.unwrap().events.len(), 1);
}
