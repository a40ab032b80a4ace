//! A store in a database of its own, and changes made by hand.

use std::error::Error;

use evercore::{
    AggregateId, AggregateTypeId, EventTypeId, NaturalKey, Payload, Position, Sequence,
    engine::{
        AggregateChange, Changes, CommitOutcome, EventFilter, Expected, KeyChange, Load, LoadTarget,
        LoadedAggregate, LogRead, NewEvent, SnapshotUse, StorageEngine, StoredEvent, Timestamp,
        TransactionalEngine, TypeNames,
    },
};
use evercore_postgres::PostgresEngine;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Transaction};
use tokio::task::JoinHandle;

use crate::database::OwnDatabase;

pub(crate) type TestResult = Result<(), Box<dyn Error>>;

/// A database that has no store yet.
pub(crate) struct Place(OwnDatabase);

impl Place {
    pub(crate) async fn new() -> Self {
        Self(OwnDatabase::create().await)
    }

    pub(crate) fn of(database: impl Into<OwnDatabase>) -> Self {
        Self(database.into())
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// The same for another role.
    pub(crate) fn url_as(&self, role: &str, password: &str) -> String {
        self.0.url_as(role, password)
    }

    pub(crate) fn database(&self) -> &str {
        self.0.name()
    }

    pub(crate) async fn engine(&self) -> PostgresEngine {
        PostgresEngine::connect(&self.url()).await.expect("the store opens")
    }

    /// A session as another program has it.
    pub(crate) async fn session(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.expect("a session")
    }
}

impl Place {
    /// A role that may read everything and write nothing, and its URL. It belongs to the server.
    pub(crate) async fn reading_role(&self) -> (String, String) {
        let role = format!("reader{}", self.database().replace('_', ""));
        let statements = format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA evercore TO {role};
            GRANT SELECT ON ALL TABLES IN SCHEMA evercore TO {role};
            GRANT SELECT ON ALL SEQUENCES IN SCHEMA evercore TO {role}"
        );
        run(&mut self.session().await, statements).await;
        let url = self.url_as(&role, "secret");
        (role, url)
    }

    /// Waits until a reader has looked up who is appending several times, and has not gone on.
    pub(crate) async fn is_asked_who_is_appending<T>(&self, reading: &JoinHandle<T>) {
        Self::is_asked_on(self.session().await, reading).await;
    }

    /// The same, as a session sees it.
    pub(crate) async fn is_asked_on<T>(mut session: PgConnection, reading: &JoinHandle<T>) {
        let looking = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE '%pg_locks%' AND pid <> pg_backend_pid()
                AND query_start > clock_timestamp() - interval '20 ms'";
        for _ in 0..3 {
            while sqlx::query_scalar::<_, i64>(looking).fetch_one(&mut session).await.expect("a count") == 0 {
                assert!(!reading.is_finished(), "the reader did not wait");
            }
        }
        assert!(!reading.is_finished(), "the reader did not wait");
    }
}

/// Runs statements on a session.
pub(crate) async fn run(session: &mut PgConnection, statements: impl Into<String>) {
    let statements = AssertSqlSafe(statements.into());
    sqlx::raw_sql(statements).execute(session).await.expect("statements");
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

pub(crate) async fn define(engine: &PostgresEngine) -> Types {
    let catalog = engine.define_types(&names()).await.expect("types are defined");
    Types { user: catalog.aggregates[0].0, created: catalog.events[0].0 }
}

pub(crate) async fn new_id(engine: &PostgresEngine) -> AggregateId {
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

/// Commits a new aggregate with so many events.
pub(crate) async fn commit_new(engine: &PostgresEngine, types: Types, events: i64) -> Position {
    let id = new_id(engine).await;
    let outcome = engine.commit(&append(types, id, 0, events)).await.expect("a commit");
    last_position(&outcome)
}

/// Writes a new aggregate with so many events in a transaction, which stays open.
pub(crate) async fn write_new(
    engine: &PostgresEngine,
    types: Types,
    events: i64,
    transaction: &mut Transaction<'static, Postgres>,
) -> Position {
    let id = new_id(engine).await;
    let outcome = engine.commit_in(&append(types, id, 0, events), transaction).await.expect("it is written");
    last_position(&outcome)
}

pub(crate) fn last_position(outcome: &CommitOutcome) -> Position {
    match outcome {
        CommitOutcome::Committed { last_position: Some(position), .. } => *position,
        other => panic!("no events were written: {other:?}"),
    }
}

pub(crate) async fn load(engine: &PostgresEngine, id: AggregateId) -> Option<LoadedAggregate> {
    let request = Load {
        target: LoadTarget::Id(id),
        snapshot: SnapshotUse::Any,
        after: Sequence::NONE,
        limit: u32::MAX,
    };
    engine.load(&[request]).await.expect("a load").pop().expect("one answer")
}

/// Reads the log after a position, in pages of so many events, until there is nothing more.
pub(crate) async fn log_after(
    engine: &PostgresEngine,
    filter: EventFilter,
    mut after: Position,
    limit: u32,
) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    loop {
        let read = LogRead { filter: filter.clone(), after, limit };
        let page = engine.read_log(&read).await.expect("a page");
        if page.end == after {
            return events;
        }
        events.extend(page.events);
        after = page.end;
    }
}

pub(crate) async fn log(engine: &PostgresEngine) -> Vec<StoredEvent> {
    log_after(engine, EventFilter::default(), Position::START, 100).await
}
