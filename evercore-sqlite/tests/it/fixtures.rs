//! A store in a file of its own, and changes made by hand.

use std::{error::Error, path::PathBuf};

use evercore::{
    AggregateId, AggregateTypeId, EventTypeId, NaturalKey, Payload, Position, Sequence,
    engine::{
        AggregateChange, Changes, CommitOutcome, EventFilter, Expected, KeyChange, Load, LoadTarget,
        LoadedAggregate, LogRead, NewEvent, SnapshotUse, StorageEngine, StoredEvent, Timestamp, TypeNames,
    },
};
use evercore_sqlite::SqliteEngine;
use tempfile::TempDir;

pub(crate) type TestResult = Result<(), Box<dyn Error>>;

/// A directory with a database file that does not exist yet.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("app.db")
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite://{}", self.path().display())
    }

    pub(crate) async fn engine(&self) -> SqliteEngine {
        SqliteEngine::connect(&self.url()).await.expect("the store opens")
    }

    /// The file as another program sees it.
    pub(crate) fn shell(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).expect("the file opens")
    }
}

/// The types that all tests use.
#[derive(Clone, Copy)]
pub(crate) struct Types {
    pub(crate) user: AggregateTypeId,
    pub(crate) created: EventTypeId,
}

pub(crate) fn names() -> TypeNames {
    TypeNames { aggregates: vec!["user".into()], events: vec!["UserCreated".into()] }
}

pub(crate) async fn define(engine: &SqliteEngine) -> Types {
    let catalog = engine.define_types(&names()).await.expect("types are defined");
    Types { user: catalog.aggregates[0].0, created: catalog.events[0].0 }
}

pub(crate) async fn new_id(engine: &SqliteEngine) -> AggregateId {
    engine.reserve_ids(1).await.expect("an id").first
}

pub(crate) fn key(key: &str) -> NaturalKey {
    NaturalKey::new(key).expect("a valid key")
}

pub(crate) fn event(types: Types, id: AggregateId, sequence: i64) -> NewEvent {
    NewEvent {
        aggregate_id: id,
        aggregate_type: types.user,
        event_type: types.created,
        sequence: Sequence::new(sequence),
        time: Timestamp::from_micros(1_767_323_045_123_456).expect("a time"),
        reference: Some("order-7".into()),
        metadata: Some(r#"{"by":"me"}"#.into()),
        payload: Payload::encode(&format!("event {sequence}")).expect("JSON"),
    }
}

/// `count` events for an aggregate that is at `version`; 0 creates it.
pub(crate) fn append(types: Types, id: AggregateId, version: i64, count: i64) -> Changes {
    let expected = match version {
        0 => Expected::New,
        version => Expected::At(Sequence::new(version)),
    };
    let change = AggregateChange {
        id,
        type_id: types.user,
        expected,
        version: Sequence::new(version + count),
        key: KeyChange::Keep,
    };
    let events = (version + 1..=version + count).map(|sequence| event(types, id, sequence)).collect();
    Changes { aggregates: vec![change], events, ..Changes::default() }
}

/// A new aggregate with a key and one event.
pub(crate) fn create(types: Types, id: AggregateId, natural_key: &str) -> Changes {
    let mut changes = append(types, id, 0, 1);
    changes.aggregates[0].key = KeyChange::Set { from: None, to: key(natural_key) };
    changes
}

pub(crate) fn last_position(outcome: &CommitOutcome) -> Position {
    match outcome {
        CommitOutcome::Committed { last_position: Some(position), .. } => *position,
        other => panic!("no events were written: {other:?}"),
    }
}

pub(crate) async fn load(engine: &SqliteEngine, id: AggregateId) -> Option<LoadedAggregate> {
    let request = Load {
        target: LoadTarget::Id(id),
        snapshot: SnapshotUse::Any,
        after: Sequence::NONE,
        limit: u32::MAX,
    };
    engine.load(&[request]).await.expect("a load").pop().expect("one answer")
}

pub(crate) async fn log(engine: &SqliteEngine, filter: EventFilter) -> Vec<StoredEvent> {
    let (mut events, mut after) = (Vec::new(), Position::START);
    loop {
        let read = LogRead { filter: filter.clone(), after, limit: 100 };
        let page = engine.read_log(&read).await.expect("a page");
        if page.end == after {
            return events;
        }
        events.extend(page.events);
        after = page.end;
    }
}
