//! Stored data that the code does not understand.

use evercore::{
    Aggregate, AggregateId, Apply, Codec, Error, EventStore, Payload, Sequence,
    engine::{
        AggregateChange, Changes, EngineError, EngineErrorKind, Expected, KeyChange, NewEvent, StorageEngine,
        Timestamp, TypeNames,
    },
    event,
};
use evercore_memory::MemoryEngine;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{User, stored_user},
    observed::ObservedEngine,
};

#[event(alias = "KnownBefore")]
struct Known {
    number: u64,
}

#[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Known))]
struct Thing {
    number: u64,
}

impl Apply<Known> for Thing {
    fn apply(&mut self, event: &Known) {
        self.number = event.number;
    }
}

/// An aggregate with one event, written as another program might.
async fn stored(
    event_type: &str,
    payload: Payload,
    metadata: Option<&str>,
) -> (EventStore, AggregateId<Thing>) {
    let engine = MemoryEngine::new();
    let store = EventStore::open::<Thing>(engine.clone()).await.unwrap();
    let names = TypeNames { aggregates: vec!["Thing".into()], events: vec![event_type.into()] };
    let types = engine.define_types(&names).await.unwrap();
    let event_id = types.events.iter().find(|(_, name)| name == event_type).unwrap().0;
    let id = engine.reserve_ids(1).await.unwrap().first;
    let type_id = types.aggregates[0].0;
    let change = AggregateChange {
        id,
        type_id,
        expected: Expected::New,
        version: Sequence::new(1),
        key: KeyChange::Keep,
    };
    let event = NewEvent {
        aggregate_id: id,
        aggregate_type: type_id,
        event_type: event_id,
        sequence: Sequence::new(1),
        time: Timestamp::now(),
        reference: None,
        metadata: metadata.map(str::to_owned),
        payload,
    };
    engine
        .commit(&Changes { aggregates: vec![change], events: vec![event], ..Changes::default() })
        .await
        .unwrap();
    (store, id.typed())
}

fn json(text: &str) -> Payload {
    Payload::new(Codec::JSON, text.into())
}

#[tokio::test]
async fn an_unknown_event_type_is_an_error_that_names_it() {
    let (store, id) = stored("Unheard", json("{}"), None).await;
    let error = store.load(id).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "event 1 of Thing {id} is a \"Unheard\", which the aggregate or registry that decodes it does not list"
        )
    );
}

#[tokio::test]
async fn payloads_that_do_not_decode_are_errors_that_say_where_and_why() {
    for (payload, cause) in [
        (json("{\"number\":"), "EOF while parsing"),
        (json("{\"number\":\"one\"}"), "invalid type"),
        (json("{}"), "missing field `number`"),
        (Payload::new(Codec::new(77), vec![0xff]), "codec 77 is not known"),
    ] {
        let (store, id) = stored("Known", payload, None).await;
        let error = store.load(id).await.unwrap_err();
        assert_eq!(error.to_string(), format!("event 1 of Thing {id}, a \"Known\", cannot be decoded"));
        let mut causes = String::new();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            causes.push_str(&error.to_string());
            source = error.source();
        }
        assert!(causes.contains(cause), "{causes}");
        // What is stored can still be read undecoded.
        assert_eq!(store.read_only().history(id).await.unwrap().events.len(), 1);
    }
}

/// A `main` that returns an error prints its `Debug`.
#[tokio::test]
async fn debug_is_as_readable_as_display() {
    let store = crate::domain::store().await;
    let missing = store.load(AggregateId::<User>::new(7)).await.unwrap_err();
    assert_eq!(format!("{missing:?}"), "NotFound(User 7)");
    let missing = store.load_by_key::<User>("john").await.unwrap_err();
    assert_eq!(format!("{missing:?}"), "NotFound(User with the key \"john\")");

    let cause = std::io::Error::other(serde_json::from_str::<u8>("").unwrap_err());
    let error = EngineError::new("files", "open the store", EngineErrorKind::Other, cause);
    assert_eq!(error.to_string(), "files cannot open the store");
    let shown = format!("{:?}", Error::Engine { action: "begin".to_owned(), source: error });
    let expected = "files cannot open the store: EOF while parsing a value at line 1 column 0";
    assert_eq!(shown, format!("Engine {{ action: \"begin\", source: {expected} }}"));
}

#[test]
fn a_log_that_was_rewound_is_an_error_of_its_own() {
    let failed =
        |kind| Error::from(EngineError::new("files", "read the log", kind, "event 3 of aggregate 7 is gone"));
    let error = failed(EngineErrorKind::LogRewound);
    assert!(matches!(&error, Error::LogRewound { source, .. } if !source.is_temporary()), "{error:?}");
    assert_eq!(error.to_string(), "cannot read the log: the log is not the one that was read before");
    assert!(matches!(failed(EngineErrorKind::Corrupt), Error::Engine { .. }));
    assert!(failed(EngineErrorKind::NoHorizon).is_temporary(), "somebody may say it a little later");
}

#[test]
fn debug_of_a_payload_shows_json_as_text() {
    assert_eq!(format!("{:?}", json("{\"number\":1}")), "Payload({\"number\":1})");
    for payload in [Payload::new(Codec::JSON, vec![0xff]), Payload::new(Codec::new(7), vec![b'a'])] {
        let (codec, bytes) = (payload.codec, &payload.bytes);
        let expected = format!("Payload {{ codec: {codec:?}, bytes: {bytes:?} }}");
        assert_eq!(format!("{payload:?}"), expected);
    }
}

#[tokio::test]
async fn metadata_that_is_no_object_is_damage() {
    let (store, id) = stored("Known", json("{\"number\":1}"), Some("[1]")).await;
    let error = store.load(id).await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("the metadata of event 1"), "{error}");
}

#[tokio::test]
async fn a_missing_event_is_damage_and_never_a_shorter_history() {
    let engine = ObservedEngine::new();
    let store = EventStore::open::<User>(engine.clone()).await.unwrap();
    let id = stored_user(&store, "john", 2).await;
    engine.lose_events();
    let error = store.load(id).await.unwrap_err();
    assert_eq!(error.to_string(), format!("what is stored of User {id} is damaged: event 3 is missing"));
}

#[tokio::test]
async fn an_event_that_does_not_decode_is_named_as_it_is_stored() {
    let (store, id) = stored("KnownBefore", json("{}"), None).await;
    let error = store.load(id).await.unwrap_err();
    assert_eq!(error.to_string(), format!("event 1 of Thing {id}, a \"KnownBefore\", cannot be decoded"));
}
