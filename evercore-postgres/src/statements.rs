//! One function for each statement: its text with the schema's name, and what is bound to it.

use evercore::{
    AggregateId, AggregateTypeId, NaturalKey, Position,
    engine::{
        AggregateChange, Changes, Expected, KeyChange, Load, LoadTarget, LogRead, NewEvent, NewSnapshot,
        SnapshotUse, Timestamp,
    },
};
use sqlx::{Postgres, SqlStr, postgres::PgArguments};

use crate::{mark::Mark, schema::Schema, time::Time};

/// A statement with its parameters.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// Names the text of each statement, which may have a beginning that it shares with others.
macro_rules! texts {
    ($($name:ident = $($file:literal),+;)*) => {
        /// The texts of all statements, for one schema.
        #[derive(Debug, Clone)]
        pub(crate) struct Statements {
            $(pub(crate) $name: SqlStr,)*
        }

        impl Statements {
            pub(crate) fn new(schema: &Schema) -> Self {
                Self { $($name: schema.statement(concat!($(include_str!(concat!("../sql/", $file, ".sql"))),+)),)* }
            }
        }
    };
}

texts! {
    find_migrations_table = "find_migrations_table";
    lock_migrations = "lock_migrations";
    schema_version = "schema_version";
    insert_migration = "insert_migration";
    altered = "altered";
    inspect = "inspect";
    types = "types";
    define_types = "define_types";
    reserve_ids = "reserve_ids";
    commit = "commit";
    find_commit = "find_commit";
    forget_keys = "forget_keys";
    find_by_key = "find_by_key";
    load = "load";
    aggregate_ids = "aggregate_ids";
    log_after = "readable", "log_after";
    log_between = "readable", "log_between";
    log_of_aggregate = "readable", "log_of_aggregate";
    head = "readable", "head";
    event_at = "event_at";
    publish = "publish";
    appending = "appending";
    sessions = "sessions";
    locate = "locate";
    notify = "notify";
    define_subscription = "define_subscription";
    claim_subscription = "claim_subscription";
    renew_leases = "renew_leases";
    checkpoint = "checkpoint";
    release_subscription = "release_subscription";
    change_subscription = "change_subscription";
    delete_subscription = "delete_subscription";
    subscriptions = "subscriptions";
    failed_deliveries = "failed_deliveries";
    drop_failed_delivery = "drop_failed_delivery";
}

/// Makes the schema, if it does not exist.
pub(crate) const CREATE_SCHEMA: &str = include_str!("../sql/create_schema.sql");
/// Makes the table of migrations, if it does not exist.
pub(crate) const CREATE_MIGRATIONS_TABLE: &str = include_str!("../sql/create_migrations_table.sql");

impl Statements {
    /// Whether there are a schema and a table of migrations.
    pub(crate) fn find_migrations_table<'q>(&self) -> Query<'q> {
        sqlx::query(self.find_migrations_table.clone())
    }

    /// Keeps others from migrating the schema until the transaction ends.
    pub(crate) fn lock_migrations<'q>(&self) -> Query<'q> {
        sqlx::query(self.lock_migrations.clone())
    }

    /// The last migration that was applied.
    pub(crate) fn schema_version<'q>(&self) -> Query<'q> {
        sqlx::query(self.schema_version.clone())
    }

    /// Notes that a migration was applied.
    pub(crate) fn insert_migration<'q>(&self, version: i64, name: &'q str) -> Query<'q> {
        sqlx::query(self.insert_migration.clone()).bind(version).bind(name)
    }

    /// What somebody has altered in the schema.
    pub(crate) fn altered<'q>(&self) -> Query<'q> {
        sqlx::query(self.altered.clone())
    }

    /// What a server must be like, and which store it is.
    pub(crate) fn inspect<'q>(&self) -> Query<'q> {
        sqlx::query(self.inspect.clone())
    }

    /// All types.
    pub(crate) fn types<'q>(&self) -> Query<'q> {
        sqlx::query(self.types.clone())
    }

    /// Defines types that have no id yet.
    pub(crate) fn define_types<'q>(&self, aggregates: &'q [&'q str], events: &'q [&'q str]) -> Query<'q> {
        sqlx::query(self.define_types.clone()).bind(aggregates).bind(events)
    }

    /// Takes ids.
    pub(crate) fn reserve_ids<'q>(&self, count: u32) -> Query<'q> {
        sqlx::query(self.reserve_ids.clone()).bind(i64::from(count))
    }

    /// Writes the changes of a unit of work, in the store with this id, or in whichever it is.
    pub(crate) fn commit<'q>(
        &self,
        changes: &'q Changes,
        store: Option<&'q str>,
        lock_timeout: String,
    ) -> Query<'q> {
        let Changes { idempotency, aggregates, events, snapshots } = changes;
        let query = sqlx::query(self.commit.clone())
            .bind(store)
            .bind(idempotency.as_ref().map(|idempotency| idempotency.key.as_str()))
            .bind(idempotency.as_ref().map(|idempotency| idempotency.receipt.as_str()));
        bind_snapshots(bind_events(bind_aggregates(query, aggregates), events), snapshots).bind(lock_timeout)
    }

    /// The commit that was made under a key.
    pub(crate) fn find_commit<'q>(&self, key: &'q str) -> Query<'q> {
        sqlx::query(self.find_commit.clone()).bind(key)
    }

    /// Forgets the keys of earlier commits.
    pub(crate) fn forget_keys<'q>(&self, before: Timestamp) -> Query<'q> {
        sqlx::query(self.forget_keys.clone()).bind(Time::to_compare(before))
    }

    /// The aggregate of this type with this key.
    pub(crate) fn find_by_key<'q>(&self, type_id: AggregateTypeId, key: &'q NaturalKey) -> Query<'q> {
        sqlx::query(self.find_by_key.clone()).bind(narrow(type_id.get())).bind(key.as_str())
    }

    /// Aggregates, their snapshots and their events.
    pub(crate) fn load<'q>(&self, requests: &'q [Load]) -> Query<'q> {
        let id = |request: &Load| match &request.target {
            LoadTarget::Id(id) => Some(id.get()),
            LoadTarget::Key(..) => None,
        };
        let type_id = |request: &Load| match &request.target {
            LoadTarget::Id(_) => None,
            LoadTarget::Key(type_id, _) => Some(narrow(type_id.get())),
        };
        let fingerprint = |request: &Load| match request.snapshot {
            SnapshotUse::Fitting(fingerprint) => Some(fingerprint.get()),
            SnapshotUse::Ignore | SnapshotUse::Any => None,
        };
        let keys: Vec<Option<&str>> = requests
            .iter()
            .map(|request| match &request.target {
                LoadTarget::Id(_) => None,
                LoadTarget::Key(_, key) => Some(key.as_str()),
            })
            .collect();
        sqlx::query(self.load.clone())
            .bind(column(requests, id))
            .bind(column(requests, type_id))
            .bind(keys)
            .bind(column(requests, |request| request.snapshot != SnapshotUse::Ignore))
            .bind(column(requests, fingerprint))
            .bind(column(requests, |request| request.after.get()))
            .bind(column(requests, |request| i64::from(request.limit)))
    }

    /// The next aggregates of a type.
    pub(crate) fn aggregate_ids<'q>(
        &self,
        type_id: AggregateTypeId,
        after: Option<AggregateId>,
        limit: u32,
    ) -> Query<'q> {
        sqlx::query(self.aggregate_ids.clone())
            .bind(narrow(type_id.get()))
            .bind(after.map_or(0, AggregateId::get))
            .bind(i64::from(limit))
    }

    /// What can be seen of the log after a position. `last` was read before.
    pub(crate) fn log_after<'q>(&self, after: Position, limit: u32, last: Mark) -> Query<'q> {
        bind_mark(sqlx::query(self.log_after.clone()), last).bind(after.get()).bind(i64::from(limit))
    }

    /// The wanted events of a stretch of the log. `last` was read before.
    pub(crate) fn log_between<'q>(&self, read: &'q LogRead, end: Position, last: Mark) -> Query<'q> {
        let text = match read.filter.aggregate {
            Some(_) => &self.log_of_aggregate,
            None => &self.log_between,
        };
        let aggregates = read.filter.aggregate_types.as_deref();
        let events = read.filter.event_types.as_deref();
        let query = bind_mark(sqlx::query(text.clone()), last)
            .bind(read.after.get())
            .bind(end.get())
            .bind(aggregates.map(|types| column(types, |id| narrow(id.get()))))
            .bind(events.map(|types| column(types, |id| narrow(id.get()))))
            .bind(i64::from(read.limit));
        match read.filter.aggregate {
            Some(aggregate) => query.bind(aggregate.get()),
            None => query,
        }
    }

    /// The last event, and how many events follow a position. `last` was read before.
    pub(crate) fn head<'q>(&self, known: Position, last: Mark) -> Query<'q> {
        bind_mark(sqlx::query(self.head.clone()), last).bind(known.get())
    }

    /// Which event is at a position.
    pub(crate) fn event_at<'q>(&self, position: Position) -> Query<'q> {
        sqlx::query(self.event_at.clone()).bind(position.get())
    }

    /// Says that the log is settled up to an event.
    pub(crate) fn publish<'q>(&self, settled: Mark) -> Query<'q> {
        bind_mark(sqlx::query(self.publish.clone()), settled)
    }

    /// The transactions that are appending.
    pub(crate) fn appending<'q>(&self) -> Query<'q> {
        sqlx::query(self.appending.clone())
    }

    /// Whose transactions these are.
    pub(crate) fn sessions<'q>(&self, transactions: &'q [String]) -> Query<'q> {
        sqlx::query(self.sessions.clone()).bind(transactions)
    }

    /// Where events recorded at a time or later begin, up to `head`.
    pub(crate) fn locate<'q>(&self, since: Timestamp, head: Position) -> Query<'q> {
        sqlx::query(self.locate.clone()).bind(Time::to_compare(since)).bind(head.get())
    }

    /// Wakes all who listen on a channel.
    pub(crate) fn notify<'q>(&self, channel: &'q str) -> Query<'q> {
        sqlx::query(self.notify.clone()).bind(channel)
    }
}

fn bind_mark<'q>(query: Query<'q>, mark: Mark) -> Query<'q> {
    query
        .bind(mark.position.get())
        .bind(mark.aggregate.get())
        .bind(mark.sequence.get())
        .bind(mark.recorded_at.map(Time))
}

fn bind_aggregates<'q>(query: Query<'q>, changes: &'q [AggregateChange]) -> Query<'q> {
    let expected = |change: &AggregateChange| match change.expected {
        Expected::New => None,
        Expected::At(sequence) => Some(sequence.get()),
    };
    let keys = |change: &'q AggregateChange| match &change.key {
        KeyChange::Keep => (None, None),
        KeyChange::Set { from, to } => (from.as_ref().map(NaturalKey::as_str), Some(to.as_str())),
    };
    let (old_keys, new_keys): (Vec<_>, Vec<_>) = changes.iter().map(keys).unzip();
    query
        .bind(column(changes, |change| change.id.get()))
        .bind(column(changes, |change| narrow(change.type_id.get())))
        .bind(column(changes, expected))
        .bind(column(changes, |change| change.version.get()))
        .bind(old_keys)
        .bind(new_keys)
}

fn bind_events<'q>(query: Query<'q>, events: &'q [NewEvent]) -> Query<'q> {
    query
        .bind(column(events, |event| event.aggregate_id.get()))
        .bind(column(events, |event| narrow(event.aggregate_type.get())))
        .bind(column(events, |event| narrow(event.event_type.get())))
        .bind(column(events, |event| event.sequence.get()))
        .bind(column(events, |event| Time(event.time)))
        .bind(column(events, |event| event.reference.as_deref()))
        .bind(column(events, |event| event.metadata.as_deref()))
        .bind(column(events, |event| event.payload.codec.get()))
        .bind(column(events, |event| event.payload.bytes.as_slice()))
}

fn bind_snapshots<'q>(query: Query<'q>, snapshots: &'q [NewSnapshot]) -> Query<'q> {
    query
        .bind(column(snapshots, |snapshot| snapshot.aggregate_id.get()))
        .bind(column(snapshots, |snapshot| snapshot.sequence.get()))
        .bind(column(snapshots, |snapshot| snapshot.fingerprint.get()))
        .bind(column(snapshots, |snapshot| snapshot.payload.codec.get()))
        .bind(column(snapshots, |snapshot| snapshot.payload.bytes.as_slice()))
}

/// One value of each item, to be bound as an array.
pub(crate) fn column<'a, T, V>(items: &'a [T], value: impl Fn(&'a T) -> V) -> Vec<V> {
    items.iter().map(value).collect()
}

/// The id of a type as it is stored. Ids that a store gave out fit; any other one is an id of no type.
fn narrow(id: i64) -> i32 {
    i32::try_from(id).unwrap_or(0)
}
