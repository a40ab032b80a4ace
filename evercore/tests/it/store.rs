//! Opening, closing, and the number of round trips.

use std::sync::Arc;

use evercore::{
    AggregateId, Error, EventStore, LogFilter, NaturalKey, Position, Registry as _,
    engine::{EngineErrorKind, StorageEngine},
};
use evercore_memory::MemoryEngine;

use crate::{
    domain::{Account, Deposited, Domain, User, UserLoggedIn, store, stored_user},
    observed::ObservedEngine,
};

#[tokio::test]
async fn loads_and_commits_are_one_round_trip() {
    let engine = ObservedEngine::new();
    let store = EventStore::open::<Domain>(engine.clone()).await.unwrap();
    let id = stored_user(&store, "john", 10).await;
    let other = stored_user(&store, "jane", 3).await;
    engine.take_calls();

    store.load(id).await.unwrap();
    assert_eq!(engine.take_calls(), 1, "load by id, with a snapshot");
    store.load_by_key::<User>("jane").await.unwrap();
    assert_eq!(engine.take_calls(), 1, "load by key");
    store.read_only().load_many(&[id, other, id]).await.unwrap();
    assert_eq!(engine.take_calls(), 1, "load of many");

    let ctx = store.begin();
    let mut user = ctx.load_or_create::<User>("john").await.unwrap();
    assert_eq!(engine.take_calls(), 1, "load or create that loads");
    ctx.apply(&mut user, UserLoggedIn {}).unwrap();
    let mut account = ctx.create_with_key::<Account>("a").await.unwrap();
    ctx.apply(&mut account, Deposited(1)).unwrap();
    ctx.load(account.id()).await.unwrap();
    assert_eq!(engine.take_calls(), 0, "ids come from a block, and a created aggregate is not looked up");
    ctx.commit().await.unwrap();
    assert_eq!(engine.take_calls(), 1, "commit");
    store.begin().commit().await.unwrap();
    assert_eq!(engine.take_calls(), 0, "an empty commit");
}

#[tokio::test]
async fn opening_again_is_one_round_trip_and_the_first_time_two() {
    let engine = ObservedEngine::new();
    EventStore::open::<Domain>(engine.clone()).await.unwrap();
    assert_eq!(engine.take_calls(), 2);
    EventStore::open::<Domain>(engine.clone()).await.unwrap();
    assert_eq!(engine.take_calls(), 1);
}

#[tokio::test]
async fn an_aggregate_outside_the_registry_works() {
    let store = EventStore::open::<Account>(MemoryEngine::new()).await.unwrap();
    assert!(store.load_by_key::<User>("john").await.unwrap_err().is_not_found());
    let id = stored_user(&store, "john", 2).await;
    assert_eq!(store.load(id).await.unwrap().logins, 2);
}

#[tokio::test]
async fn a_store_sees_the_types_that_another_one_defined_later() {
    let engine = MemoryEngine::new();
    let early = EventStore::open::<Account>(engine.clone()).await.unwrap();
    let late = EventStore::open::<Domain>(engine).await.unwrap();
    let id = stored_user(&late, "john", 2).await;
    assert_eq!(early.load(id).await.unwrap().logins, 2);
    let wrong = early.load(id.untyped().typed::<Account>()).await.unwrap_err();
    assert!(matches!(wrong, Error::WrongType { .. }));
}

#[tokio::test]
async fn the_engine_is_handed_out_by_type() {
    let store = store().await;
    assert!(store.engine::<MemoryEngine>().is_some_and(|engine| engine.name() == "memory"));
    assert!(store.engine::<ObservedEngine>().is_none());
    let prepared = store.begin().prepare::<ObservedEngine>().await.map(drop);
    assert!(matches!(prepared, Err(Error::WrongEngine { engine: "memory" })));
}

#[tokio::test]
async fn engines_are_chosen_at_run_time() {
    let mut stores = Vec::new();
    for observed in [true, false] {
        stores.push(if observed {
            EventStore::open::<Domain>(ObservedEngine::new()).await.unwrap()
        } else {
            EventStore::open::<Domain>(MemoryEngine::new()).await.unwrap()
        });
    }
    for store in &stores {
        stored_user(store, "john", 0).await;
    }
}

#[tokio::test]
async fn a_closed_store_fails_with_closed() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    let mut user = ctx.load(id).await.unwrap();
    ctx.apply(&mut user, UserLoggedIn {}).unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    let closed = |error: Error| match error {
        Error::Engine { source, .. } => source.kind() == EngineErrorKind::Closed,
        _ => false,
    };
    assert!(closed(ctx.commit().await.unwrap_err()));
    assert!(closed(store.load(id).await.unwrap_err()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ids_are_unique_over_many_tasks_and_blocks() {
    let store = store().await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let ctx = store.begin();
                let mut ids = Vec::new();
                for _ in 0..200 {
                    ids.push(ctx.create::<User>().await.unwrap().id());
                }
                ids
            })
        })
        .collect();
    let mut ids: Vec<AggregateId<User>> = Vec::new();
    for task in tasks {
        ids.extend(task.await.unwrap());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1_600);
}

#[tokio::test]
async fn an_aggregate_that_the_registry_lacks_works_but_is_not_decoded_by_it() {
    let store = EventStore::open::<User>(MemoryEngine::new()).await.unwrap();
    let deposit = async |ctx: evercore::Context| {
        let mut account = ctx.create_with_key::<Account>("savings").await?;
        ctx.apply(&mut account, Deposited(5))
    };
    store.with_context(deposit).await.unwrap();
    assert_eq!(store.load_by_key::<Account>("savings").await.unwrap().balance(), 5);
    let page = store.log(LogFilter::new(), Position::START).page(10).await.unwrap();
    let [event] = page.events.as_slice() else { panic!("one event: {page:?}") };
    assert!(matches!(event.decode::<User>(), Err(Error::UnknownEventType { .. })));
    assert!(User::decode(event).unwrap().is_none());
    assert!(event.decode::<Account>().is_ok());
}

#[tokio::test]
async fn whatever_is_or_borrows_a_text_is_a_natural_key() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let owned = String::from("john");
    let key = NaturalKey::new("john").unwrap();
    let read = store.read_only();
    for borrowed in &["john"] {
        assert_eq!(read.find_by_key(borrowed).await.unwrap(), Some(id));
    }
    assert_eq!(read.find_by_key("john").await.unwrap(), Some(id));
    assert_eq!(read.find_by_key(&owned).await.unwrap(), Some(id));
    assert_eq!(read.find_by_key(owned).await.unwrap(), Some(id));
    assert_eq!(read.find_by_key(&key).await.unwrap(), Some(id));
    assert_eq!(read.find_by_key(key).await.unwrap(), Some(id));
}

#[tokio::test]
async fn ids_can_be_stored_in_events_and_used_as_text() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let text = serde_json::to_string(&id).unwrap();
    assert_eq!(text, id.to_string());
    assert_eq!(serde_json::from_str::<AggregateId<User>>(&text).unwrap(), id);
    assert_eq!(text.parse::<AggregateId<User>>().unwrap(), id);
    let sorted: std::collections::BTreeMap<_, _> = [(id, 1)].into();
    let hashed: std::collections::HashMap<_, _> = [(id, Arc::new(1))].into();
    assert_eq!((sorted[&id], *hashed[&id]), (1, 1));
}
