//! The log of the whole store.

use evercore::{EventStore, LogFilter, Position, RecordedEvent};
use evercore_memory::MemoryEngine;
use futures_util::TryStreamExt;

use crate::domain::{
    Account, Deposited, Domain, DomainEvent, User, UserEvent, UserLoggedIn, UserUpdated, store, stored_user,
};

#[tokio::test]
async fn the_log_has_all_events_in_order_page_by_page() {
    let store = store().await;
    stored_user(&store, "john", 2).await;
    stored_user(&store, "jane", 1).await;
    let mut log = store.log(LogFilter::new(), Position::START);
    let first = log.page(3).await.unwrap();
    assert_eq!(first.events.len(), 3);
    assert_eq!(first.end, first.events[2].position());
    let second = log.page(3).await.unwrap();
    assert_eq!(second.events.len(), 2);
    assert!(second.events[0].position() > first.end);
    assert_eq!(second.end, store.head().await.unwrap());
    assert!(log.page(3).await.unwrap().events.is_empty());

    stored_user(&store, "jim", 0).await;
    let later = log.page(3).await.unwrap();
    assert_eq!(later.events.len(), 1);
    let event = later.events[0].decode::<Domain>().unwrap();
    assert!(matches!(event, DomainEvent::User(UserEvent::UserCreated(event)) if event.username == "jim"));
}

#[tokio::test]
async fn filters_select_by_aggregate_type_event_type_id_and_key() {
    let store = store().await;
    stored_user(&store, "john", 2).await;
    let jane = stored_user(&store, "jane", 1).await;
    store
        .with_context(async |ctx| {
            let mut account = ctx.create_with_key::<Account>("john").await?;
            ctx.apply(&mut account, Deposited(1))
        })
        .await
        .unwrap();
    let count =
        async |filter: LogFilter| store.log(filter, Position::START).page(100).await.unwrap().events.len();
    assert_eq!(count(LogFilter::new()).await, 6);
    assert_eq!(count(LogFilter::new().aggregate::<User>()).await, 5);
    assert_eq!(count(LogFilter::new().aggregate::<User>().aggregate::<Account>()).await, 6);
    assert_eq!(count(LogFilter::new().event::<UserLoggedIn>()).await, 3);
    assert_eq!(count(LogFilter::new().event::<UserLoggedIn>().event::<Deposited>()).await, 4);
    assert_eq!(count(LogFilter::new().aggregate::<Account>().event::<UserLoggedIn>()).await, 0);
    assert_eq!(count(LogFilter::new().event::<UserUpdated>()).await, 0);
    assert_eq!(count(LogFilter::new().id(jane)).await, 2);
    assert_eq!(count(LogFilter::new().key::<User>("john").event::<UserLoggedIn>()).await, 2);
    assert_eq!(count(LogFilter::new().key::<Account>("john")).await, 1);

    // The limit counts what the filter lets through.
    let mut log = store.log(LogFilter::new().event::<UserLoggedIn>(), Position::START);
    assert_eq!(log.page(2).await.unwrap().events.len(), 2);
    assert_eq!(log.page(2).await.unwrap().events.len(), 1);

    let missing = store.log(LogFilter::new().key::<User>("nobody"), Position::START).page(1).await;
    assert!(missing.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_key_in_a_filter_is_followed_whatever_it_becomes() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let mut log = store.log(LogFilter::new().key::<User>("john"), Position::START);
    assert_eq!(log.page(10).await.unwrap().events.len(), 1);
    store
        .with_context(async |ctx| {
            let mut user = ctx.load(id).await?;
            ctx.change_key(&mut user, "johnny")?;
            ctx.apply(&mut user, UserLoggedIn {})
        })
        .await
        .unwrap();
    stored_user(&store, "john", 0).await;
    let page = log.page(10).await.unwrap();
    assert_eq!(page.events.iter().map(RecordedEvent::aggregate_id).collect::<Vec<_>>(), [id.untyped()]);
}

#[tokio::test]
async fn the_stream_ends_at_the_head() {
    let store = store().await;
    stored_user(&store, "john", 2_500).await;
    let log = store.log(LogFilter::new(), Position::START);
    let events: Vec<_> = log.into_stream().try_collect().await.unwrap();
    assert_eq!(events.len(), 2_501);
    assert!(events.windows(2).all(|pair| pair[0].position() < pair[1].position()));
    let spawned = store.log(LogFilter::new().event::<UserUpdated>(), Position::START).into_stream();
    let none: Vec<_> = tokio::spawn(spawned.try_collect()).await.unwrap().unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_stream_is_read_event_by_event_without_pinning() {
    let store = store().await;
    stored_user(&store, "john", 2).await;
    let mut events = store.log(LogFilter::new(), Position::START).into_stream();
    let mut sequences = Vec::new();
    while let Some(event) = events.try_next().await.unwrap() {
        sequences.push(event.sequence().get());
    }
    assert_eq!(sequences, [1, 2, 3]);
}

#[tokio::test]
async fn a_page_of_no_events_at_most_has_one() {
    let store = store().await;
    stored_user(&store, "john", 2).await;
    let page = store.log(LogFilter::new(), Position::START).page(0).await.unwrap();
    assert_eq!(page.events.len(), 1);
}

#[tokio::test]
async fn positions_are_located_by_the_time_of_recording() {
    let store = store().await;
    stored_user(&store, "john", 0).await;
    let page = store.log(LogFilter::new(), Position::START).page(1).await.unwrap();
    let recorded_at = page.events[0].recorded_at();
    assert_eq!(store.locate(recorded_at).await.unwrap(), Position::START);
    let later = recorded_at + chrono::TimeDelta::hours(1);
    assert_eq!(store.locate(later).await.unwrap(), store.head().await.unwrap());
}

#[tokio::test]
async fn a_commit_wakes_whoever_watches() {
    let store = store().await;
    let mut watch = store.watch();
    let waiting = tokio::spawn(async move { watch.rung().await });
    stored_user(&store, "john", 0).await;
    tokio::time::timeout(std::time::Duration::from_secs(10), waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_key_is_found_though_its_type_was_defined_later() {
    let engine = MemoryEngine::new();
    let early = EventStore::open::<Account>(engine.clone()).await.unwrap();
    let late = EventStore::open::<Domain>(engine).await.unwrap();
    stored_user(&late, "john", 0).await;
    let page = early.log(LogFilter::new().key::<User>("john"), Position::START).page(9).await.unwrap();
    assert_eq!(page.events.len(), 1);
}
