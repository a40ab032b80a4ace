//! Events that change over the years: what an earlier version of a program stored, read by a later one.

use std::error::Error as _;

use evercore::{
    Aggregate, AggregateId, Apply, DecodeError, Error, EventStore, EventType, LogFilter, Position, RawEvent,
    RecordedEvent, Registry, Sequence, engine::StorageEngine, event, registry, state_event,
};
use evercore_memory::MemoryEngine;
use serde::{Deserialize, Serialize};

/// The first version of the program.
mod first {
    use super::{Aggregate, Apply, Deserialize, Serialize, event};

    #[event]
    pub(crate) struct UserCreated {
        pub(crate) name: String,
    }

    #[event]
    pub(crate) struct HintGiven {
        pub(crate) hint: String,
    }

    #[event]
    pub(crate) struct Moved {
        pub(crate) address: String,
    }

    #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(events(UserCreated, HintGiven, Moved), snapshot_every = 2)]
    pub(crate) struct User {
        pub(crate) name: String,
        pub(crate) city: String,
    }

    impl Apply<UserCreated> for User {
        fn apply(&mut self, event: &UserCreated) {
            self.name.clone_from(&event.name);
        }
    }

    impl Apply<HintGiven> for User {
        fn apply(&mut self, _event: &HintGiven) {}
    }

    impl Apply<Moved> for User {
        fn apply(&mut self, event: &Moved) {
            self.city.clone_from(&event.address);
        }
    }
}

/// The third one. The second wrote `UserCreated.v2`.
mod third {
    use super::{Aggregate, Deserialize, Serialize, event, registry, state_event};

    #[event(name = "UserCreated", alias = "UserMade")]
    pub(crate) struct UserCreatedV1 {
        pub(crate) name: String,
    }

    #[event(name = "UserCreated.v2", upcasts(UserCreatedV1))]
    pub(crate) struct UserCreatedV2 {
        pub(crate) first: String,
        pub(crate) last: String,
    }

    impl From<UserCreatedV1> for UserCreatedV2 {
        fn from(old: UserCreatedV1) -> Self {
            let (first, last) = old.name.split_once(' ').unwrap_or((&old.name, ""));
            Self { first: first.to_owned(), last: last.to_owned() }
        }
    }

    #[event(name = "UserImported")]
    pub(crate) struct UserImported {
        pub(crate) name: Option<String>,
    }

    #[state_event(
        User,
        name = "UserCreated.v3",
        alias = "UserCreated-3",
        upcasts(UserCreatedV2, UserImported with UserCreated::imported, "UserAdded" with UserCreated::added)
    )]
    #[derive(PartialEq)]
    pub(crate) struct UserCreated {
        pub(crate) name: String,
    }

    impl From<UserCreatedV2> for UserCreated {
        fn from(old: UserCreatedV2) -> Self {
            Self { name: format!("{}, {}", old.last, old.first) }
        }
    }

    impl UserCreated {
        fn imported(old: UserImported) -> Result<Self, String> {
            old.name.map(|name| Self { name }).ok_or_else(|| "the import has no name".to_owned())
        }

        fn added(mut old: serde_json::Value) -> Result<Self, serde_json::Error> {
            let name = old["user"]["name"].take();
            Ok(Self { name: serde_json::from_value(name)? })
        }
    }

    #[state_event(User, name = "Moved.v2", upcasts("Moved" with moved))]
    pub(crate) struct Moved {
        pub(crate) city: String,
    }

    fn moved(mut old: serde_json::Value) -> Result<Moved, serde_json::Error> {
        old["city"] = old["address"].take();
        serde_json::from_value(old)
    }

    #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(events(UserCreated, Moved), ignores("HintGiven", "HintTaken"), snapshot_every = 2)]
    pub(crate) struct User {
        pub(crate) name: String,
        pub(crate) city: String,
    }

    registry!(pub(crate) Domain { User });
}

use third::{Domain, DomainEvent, UserEvent};

async fn first_store(engine: &MemoryEngine) -> EventStore {
    EventStore::open::<first::User>(engine.clone()).await.unwrap()
}

async fn third_store(engine: &MemoryEngine) -> EventStore {
    EventStore::open::<Domain>(engine.clone()).await.unwrap()
}

/// A user that the first version stored: created and moved, with hints between.
async fn old_user(engine: &MemoryEngine) -> AggregateId {
    first_store(engine)
        .await
        .with_context(async |ctx| {
            let mut user = ctx.create::<first::User>().await?;
            ctx.apply(&mut user, first::UserCreated { name: "Ada Lovelace".to_owned() })?;
            ctx.apply(&mut user, first::HintGiven { hint: "poet".to_owned() })?;
            ctx.apply(&mut user, first::Moved { address: "London".to_owned() })?;
            Ok(user.id().untyped())
        })
        .await
        .unwrap()
}

/// A user of the third version to whom this happened, as it was stored in the past.
async fn user_with(
    store: &EventStore,
    events: &[(&str, &str)],
) -> evercore::Result<AggregateId<third::User>> {
    let events: Vec<_> = events.iter().map(|(name, json)| RawEvent::from_json(*name, *json)).collect();
    store
        .with_context(async |ctx| {
            let id = ctx.create::<third::User>().await?.id();
            for (index, event) in events.iter().enumerate() {
                ctx.publish(id, Sequence::new(index as i64), event.clone()).await?;
            }
            Ok(id)
        })
        .await
}

async fn log(store: &EventStore, filter: LogFilter) -> Vec<RecordedEvent> {
    store.log(filter, Position::START).page(100).await.unwrap().events
}

fn names(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(RecordedEvent::event_type).collect()
}

#[tokio::test]
async fn older_forms_are_upcast_over_a_chain() {
    let store = third_store(&MemoryEngine::new()).await;
    for (name, json, expected) in [
        ("UserCreated", r#"{"name":"Ada Lovelace"}"#, "Lovelace, Ada"),
        ("UserMade", r#"{"name":"Ada Lovelace"}"#, "Lovelace, Ada"),
        ("UserCreated.v2", r#"{"first":"Ada","last":"Lovelace"}"#, "Lovelace, Ada"),
        ("UserCreated-3", r#"{"name":"Ada"}"#, "Ada"),
        ("UserCreated.v3", r#"{"name":"Ada"}"#, "Ada"),
        ("UserImported", r#"{"name":"Ada"}"#, "Ada"),
        ("UserAdded", r#"{"user":{"name":"Ada"}}"#, "Ada"),
    ] {
        let id = user_with(&store, &[(name, json)]).await.unwrap();
        assert_eq!(store.load(id).await.unwrap().name, expected, "{name}");
        let filter = LogFilter::new().id(id);
        for event in log(&store, filter).await {
            let created = event.decode_event::<third::UserCreated>().unwrap().unwrap();
            assert_eq!(created.name, expected, "{name}");
            let DomainEvent::User(UserEvent::UserCreated(decoded)) = event.decode::<Domain>().unwrap() else {
                panic!("{name} is decoded as another event");
            };
            assert_eq!(decoded, created);
        }
    }
}

#[tokio::test]
async fn an_older_form_is_stored_under_its_own_name_and_an_alias_under_the_new_one() {
    let store = third_store(&MemoryEngine::new()).await;
    let old = ("UserMade", r#"{"name":"Ada Lovelace"}"#);
    let middle = ("UserCreated.v2", r#"{"first":"Ada","last":"Lovelace"}"#);
    let id = user_with(&store, &[old, middle, ("UserCreated-3", r#"{"name":"Ada"}"#)]).await.unwrap();
    store
        .with_context(async |ctx| {
            let mut user = ctx.load(id).await?;
            ctx.apply(&mut user, third::UserCreated { name: "Ada".to_owned() })
        })
        .await
        .unwrap();
    let stored = log(&store, LogFilter::new()).await;
    assert_eq!(names(&stored), ["UserCreated", "UserCreated.v2", "UserCreated.v3", "UserCreated.v3"]);
}

#[tokio::test]
async fn what_an_earlier_version_stored_is_loaded_with_and_without_its_snapshot() {
    let engine = MemoryEngine::new();
    let id = old_user(&engine).await;
    let new = third_store(&engine).await;
    let user = new.load(id.typed::<third::User>()).await.unwrap();
    // The first version took a snapshot of the third event, in the shape that the state still has.
    assert_eq!((user.replay().snapshot, user.replay().events), (Some(Sequence::new(3)), 0));
    assert_eq!((user.name.as_str(), user.city.as_str()), ("Ada Lovelace", "London"));

    let engine = MemoryEngine::new();
    let store = first_store(&engine).await;
    let id = store
        .with_context(async |ctx| {
            let mut user = ctx.create::<first::User>().await?;
            ctx.apply(&mut user, first::UserCreated { name: "Ada Lovelace".to_owned() })?;
            Ok(user.id().untyped().typed::<third::User>())
        })
        .await
        .unwrap();
    let user = third_store(&engine).await.load(id).await.unwrap();
    assert_eq!((user.replay().snapshot, user.name.as_str()), (None, "Lovelace, Ada"));
}

#[tokio::test]
async fn ignored_events_are_passed_over_before_and_after_a_snapshot() {
    let engine = MemoryEngine::new();
    let old = first_store(&engine).await;
    let new = third_store(&engine).await;
    let hint = || first::HintGiven { hint: "poet".to_owned() };
    let id = old
        .with_context(async |ctx| {
            let mut user = ctx.create::<first::User>().await?;
            ctx.apply(&mut user, hint())?;
            Ok(user.id())
        })
        .await
        .unwrap();
    let renewed = id.untyped().typed::<third::User>();
    let user = new.load(renewed).await.unwrap();
    assert_eq!((user.sequence(), user.name.as_str()), (Sequence::new(1), ""));

    let ctx = new.begin();
    let mut user = ctx.load(renewed).await.unwrap();
    ctx.apply(&mut user, third::UserCreated { name: "Ada".to_owned() }).unwrap();
    ctx.commit().await.unwrap();
    // The snapshot of the second event is what the first version starts from.
    old.with_context(async |ctx| {
        let mut user = ctx.load(id).await?;
        ctx.apply(&mut user, hint())
    })
    .await
    .unwrap();

    let user = new.load(renewed).await.unwrap();
    assert_eq!((user.replay().snapshot, user.replay().events), (Some(Sequence::new(2)), 1));
    assert_eq!((user.sequence(), user.name.as_str()), (Sequence::new(3), "Ada"));
}

#[tokio::test]
async fn ignored_events_are_a_variant_wherever_the_log_is_decoded() {
    let engine = MemoryEngine::new();
    let id = old_user(&engine).await;
    let store = third_store(&engine).await;
    let events = log(&store, LogFilter::new().aggregate::<third::User>()).await;
    assert_eq!(names(&events), ["UserCreated", "HintGiven", "Moved"], "a filter is not affected");
    assert!(matches!(events[1].decode::<Domain>().unwrap(), DomainEvent::User(UserEvent::Ignored)));
    assert!(matches!(events[1].decode::<third::User>().unwrap(), UserEvent::Ignored));
    assert!(matches!(Domain::decode(&events[1]).unwrap(), Some(DomainEvent::User(UserEvent::Ignored))));
    assert_eq!(format!("{:?}", UserEvent::Ignored.clone()), "Ignored");
    // The raw history is as it was.
    let history = store.read_only().history(id).await.unwrap();
    assert_eq!(names(&history.events), ["UserCreated", "HintGiven", "Moved"]);
    let moved = history.events[2].decode_event::<third::Moved>().unwrap().unwrap();
    assert_eq!(moved.city, "London");
}

#[tokio::test]
async fn an_ignored_event_is_not_published() {
    let store = third_store(&MemoryEngine::new()).await;
    let error = user_with(&store, &[("HintGiven", r#"{"hint":"poet"}"#)]).await.unwrap_err();
    assert!(matches!(error, Error::UnknownEventType { .. }), "{error}");
}

#[tokio::test]
async fn a_filter_on_a_type_finds_its_older_forms() {
    let engine = MemoryEngine::new();
    old_user(&engine).await;
    let store = third_store(&engine).await;
    user_with(&store, &[("UserImported", r#"{"name":"Bob"}"#), ("Moved.v2", r#"{"city":"Rome"}"#)])
        .await
        .unwrap();
    let created = log(&store, LogFilter::new().event::<third::UserCreated>()).await;
    assert_eq!(names(&created), ["UserCreated", "UserImported"]);
    let moved = log(&store, LogFilter::new().event::<third::Moved>()).await;
    assert_eq!(names(&moved), ["Moved", "Moved.v2"]);
    assert_eq!(log(&store, LogFilter::new().event::<third::UserCreatedV1>()).await.len(), 1);
}

// The new version of the program was the first to open the store; then the old one comes back.
#[tokio::test]
async fn the_names_of_older_forms_are_known_before_they_are_stored() {
    let engine = MemoryEngine::new();
    let store = third_store(&engine).await;
    let known = engine.types().await.unwrap().events;
    for name in ["UserCreated", "UserMade", "UserCreated.v2", "UserImported", "UserAdded", "Moved"] {
        assert!(known.iter().any(|(_, known)| known == name), "{name}");
    }
    assert!(!known.iter().any(|(_, known)| known == "HintGiven"), "nothing asks for it");
    let mut reader = store.log(LogFilter::new().event::<third::UserCreated>(), Position::START);
    assert!(reader.page(9).await.unwrap().events.is_empty());
    old_user(&engine).await;
    assert_eq!(names(&reader.page(9).await.unwrap().events), ["UserCreated"]);
}

#[tokio::test]
async fn an_upcast_that_fails_says_which_event_and_why() {
    let store = third_store(&MemoryEngine::new()).await;
    let engine = MemoryEngine::new();
    let imports = EventStore::open::<Imports>(engine.clone()).await.unwrap();
    let id = imports
        .with_context(async |ctx| {
            let mut import = ctx.create::<Imports>().await?;
            ctx.apply(&mut import, third::UserImported { name: None })?;
            Ok(import.id().untyped())
        })
        .await
        .unwrap();
    let new = third_store(&engine).await;
    let error = new.load(id.typed::<third::User>()).await.unwrap_err();
    assert_eq!(error.to_string(), format!(r#"event 1 of User {id}, a "UserImported", cannot be decoded"#));
    let cause = error.source().unwrap();
    assert_eq!(cause.to_string(), "it is of an older form, which cannot be upcast");
    assert_eq!(cause.source().unwrap().to_string(), "the import has no name");

    let event = &log(&new, LogFilter::new()).await[0];
    let by_log = event.decode::<Domain>().unwrap_err();
    assert!(matches!(by_log, Error::Decode { source: DecodeError::Upcast(_), .. }), "{by_log}");
    assert!(matches!(event.decode_event::<third::UserCreated>(), Err(Error::Decode { .. })));

    // It does not get in by hand either, and what has another shape than its form is the same as ever.
    let error = user_with(&store, &[("UserImported", "{}")]).await.unwrap_err();
    assert!(matches!(error, Error::Decode { source: DecodeError::Upcast(_), .. }), "{error}");
    let error = user_with(&store, &[("UserCreated", r#"{"name":7}"#)]).await.unwrap_err();
    assert!(matches!(error, Error::Decode { source: DecodeError::Shape(_), .. }), "{error}");
}

/// Writes what the third version imports.
#[derive(Debug, Default, Aggregate)]
#[aggregate(name = "User", events(ImportedAsIs), snapshot = off)]
struct Imports;

use third::UserImported as ImportedAsIs;

impl Apply<third::UserImported> for Imports {
    fn apply(&mut self, _event: &third::UserImported) {}
}

#[tokio::test]
async fn older_forms_that_are_buffered_are_part_of_the_view() {
    let store = third_store(&MemoryEngine::new()).await;
    let ctx = store.begin();
    let id = ctx.create::<third::User>().await.unwrap().id();
    let old = RawEvent::from_json("UserCreated", r#"{"name":"Ada Lovelace"}"#);
    ctx.publish(id, Sequence::NONE, old).await.unwrap();
    assert_eq!(ctx.load(id).await.unwrap().name, "Lovelace, Ada");
    ctx.commit().await.unwrap();
    assert_eq!(store.load(id).await.unwrap().name, "Lovelace, Ada");
}

#[test]
fn an_event_type_says_what_it_upcasts() {
    let created = EventType::of::<third::UserCreated>();
    let direct: Vec<_> = created.ancestors.iter().map(|ancestor| ancestor.name).collect();
    assert_eq!(direct, ["UserCreated.v2", "UserImported", "UserAdded"]);
    assert_eq!(created.ancestors[0].ancestors[0].name, "UserCreated");
    assert!(created.is_named("UserMade") && !created.is_named("Moved"));
}
