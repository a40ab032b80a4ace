//! Names and aliases of types, over a rename in the code.

use evercore::{Aggregate, Apply, EventStore, LogFilter, Position, RecordedEvent, event};
use evercore_memory::MemoryEngine;
use serde::{Deserialize, Serialize};

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

    #[event(name = "CustomerVisited", alias = "Visited")]
    pub(crate) struct Visit {}

    #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "Customer", alias = "User", events(Visit))]
    pub(crate) struct Customer {
        pub(crate) visits: u64,
    }

    impl Apply<Visit> for Customer {
        fn apply(&mut self, _event: &Visit) {
            self.visits += 1;
        }
    }
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
