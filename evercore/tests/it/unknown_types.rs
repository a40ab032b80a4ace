//! Which stored types the code does not know.

use evercore::{
    Aggregate, EventStore, UnknownTypes,
    engine::{StorageEngine, TypeNames},
    state_event,
};
use evercore_memory::MemoryEngine;

#[derive(Debug, Default, Aggregate)]
#[aggregate(name = "user", alias = "account", events(Renamed), ignores("Poked"), snapshot = off)]
struct User {
    name: String,
}

#[state_event(User, name = "Renamed", alias = "NameChanged")]
struct Renamed {
    name: String,
}

async fn store_with(aggregates: &[&str], events: &[&str]) -> EventStore {
    let engine = MemoryEngine::new();
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let names = TypeNames { aggregates: owned(aggregates), events: owned(events) };
    engine.define_types(&names).await.unwrap();
    EventStore::open::<User>(engine).await.unwrap()
}

#[tokio::test]
async fn names_aliases_and_ignored_events_are_known() {
    let store = store_with(&["user", "account"], &["Renamed", "NameChanged", "Poked"]).await;
    let unknown = store.unknown_types::<User>().await.unwrap();
    assert_eq!(unknown, UnknownTypes::default());
    assert!(unknown.is_empty());
}

#[tokio::test]
async fn other_names_are_reported_in_order() {
    let store = store_with(&["zoo", "bar"], &["Sold", "Bought"]).await;
    let unknown = store.unknown_types::<User>().await.unwrap();
    assert_eq!(unknown.aggregates, ["bar", "zoo"]);
    assert_eq!(unknown.events, ["Bought", "Sold"]);
    assert!(!unknown.is_empty());
}
