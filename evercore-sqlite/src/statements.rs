//! One function for each statement of a commit and of a checkpoint, on either driver, and the text of all others.

use evercore::{
    AggregateId, Codec, NaturalKey, Payload, Position, Sequence,
    engine::{
        AggregateChange, Checkpoint, FencingToken, Idempotency, NewEvent, NewFailedDelivery, NewSnapshot,
        PastCommit, Timestamp,
    },
};

use crate::{
    driver::{Connection, Value, ValueRef},
    error::Problem,
    row::{self, Ownership},
};

/// Names the text of each statement.
macro_rules! texts {
    ($($name:ident = $file:literal;)*) => {
        $(pub(crate) const $name: &str = include_str!(concat!("../sql/", $file, ".sql"));)*
    };
}

texts! {
    BEGIN = "begin";
    BEGIN_READING = "begin_reading";
    COMMIT = "commit";
    ROLLBACK = "rollback";
    CHECKPOINT = "checkpoint";
    CHECKPOINT_AND_RESTART = "checkpoint_and_restart";
    SAVEPOINT = "savepoint";
    ROLLBACK_TO_SAVEPOINT = "rollback_to_savepoint";
    RELEASE_SAVEPOINT = "release_savepoint";
    FIND_MIGRATIONS_TABLE = "find_migrations_table";
    CREATE_MIGRATIONS_TABLE = "create_migrations_table";
    SCHEMA_VERSION = "schema_version";
    INSERT_MIGRATION = "insert_migration";
    AGGREGATE_TYPES = "aggregate_types";
    EVENT_TYPES = "event_types";
    DEFINE_AGGREGATE_TYPE = "define_aggregate_type";
    DEFINE_EVENT_TYPE = "define_event_type";
    RESERVE_IDS = "reserve_ids";
    FORGET_KEYS = "forget_keys";
    FIND_BY_KEY = "find_by_key";
    AGGREGATE_BY_ID = "aggregate_by_id";
    AGGREGATE_BY_KEY = "aggregate_by_key";
    AGGREGATE_IDS = "aggregate_ids";
    SNAPSHOT_AFTER = "snapshot_after";
    EVENTS_OF_AGGREGATE = "events_of_aggregate";
    LAST_EVENT_OF_AGGREGATE = "last_event_of_aggregate";
    NEXT_EVENT_OF_AGGREGATE = "next_event_of_aggregate";
    LOG_AFTER = "log_after";
    POSITIONS_OF_TYPE = "positions_of_type";
    EVENT_AT = "event_at";
    HEAD = "head";
    RECORDED_AFTER = "recorded_after";
    DATA_VERSION = "data_version";
    DRAW_TOKEN = "draw_token";
    FIND_SUBSCRIPTION = "find_subscription";
    SUBSCRIPTIONS = "subscriptions";
    DEFINE_SUBSCRIPTION = "define_subscription";
    CLAIM_SUBSCRIPTION = "claim_subscription";
    RENEW_LEASE = "renew_lease";
    RELEASE_SUBSCRIPTION = "release_subscription";
    DISOWN_SUBSCRIPTION = "disown_subscription";
    PAUSE_SUBSCRIPTION = "pause_subscription";
    RESUME_SUBSCRIPTION = "resume_subscription";
    REDEFINE_SUBSCRIPTION = "redefine_subscription";
    RESET_SUBSCRIPTION = "reset_subscription";
    DELETE_SUBSCRIPTION = "delete_subscription";
    FAILED_DELIVERIES = "failed_deliveries";
    DROP_FAILED_DELIVERY = "drop_failed_delivery";
}

texts! {
    DATABASE = "database";
    SETTINGS = "settings";
    COMMIT_TIME = "commit_time";
    FIND_IDEMPOTENCY_KEY = "find_idempotency_key";
    INSERT_IDEMPOTENCY_KEY = "insert_idempotency_key";
    VERSION_OF = "version_of";
    ADVANCE_AGGREGATE = "advance_aggregate";
    FREE_KEY = "free_key";
    SET_KEY = "set_key";
    INSERT_AGGREGATE = "insert_aggregate";
    INSERT_EVENT = "insert_event";
    LAST_POSITION = "last_position";
    PUT_SNAPSHOT = "put_snapshot";
    OWNERSHIP = "ownership";
    MOVE_CURSOR = "move_cursor";
    RECORD_FAILED_DELIVERY = "record_failed_delivery";
}

/// Which database a connection is on: its file, as SQLite names it.
pub(crate) async fn database(connection: &mut impl Connection) -> Result<String, Problem> {
    match connection.row(DATABASE, &[]).await? {
        Some([file]) => row::text("the name of a database", file),
        None => Ok(String::new()),
    }
}

/// How much a connection waits for: the level of `synchronous`, and the busy timeout in milliseconds.
pub(crate) async fn settings(connection: &mut impl Connection) -> Result<(i64, i64), Problem> {
    match connection.row(SETTINGS, &[]).await? {
        Some([synchronous, timeout]) => {
            Ok((row::integer("synchronous", &synchronous)?, row::integer("the busy timeout", &timeout)?))
        }
        None => Ok((0, 0)),
    }
}

/// The time of a commit: `clock`, or that of the last commit when it is later.
pub(crate) async fn commit_time(
    connection: &mut impl Connection,
    clock: Timestamp,
) -> Result<Timestamp, Problem> {
    let found = connection.row(COMMIT_TIME, &[integer(clock.micros())]).await?;
    match found {
        Some([micros]) => row::time("the time of the last commit", row::integer("a time", &micros)?),
        None => Ok(clock),
    }
}

/// The earlier commit under a key.
pub(crate) async fn find_idempotency_key(
    connection: &mut impl Connection,
    key: &str,
) -> Result<Option<PastCommit>, Problem> {
    let Some([receipt, last_position, committed_at]) =
        connection.row(FIND_IDEMPOTENCY_KEY, &[text(key)]).await?
    else {
        return Ok(None);
    };
    Ok(Some(PastCommit {
        receipt: row::text("the receipt of a commit", receipt)?,
        last_position: match last_position {
            Value::Null => None,
            position => Some(Position::new(row::integer("the position of a commit", &position)?)),
        },
        committed_at: row::time("the time of a commit", row::integer("a time", &committed_at)?)?,
    }))
}

/// Claims a key.
pub(crate) async fn insert_idempotency_key(
    connection: &mut impl Connection,
    idempotency: &Idempotency,
    last_position: Option<Position>,
    committed_at: Timestamp,
) -> Result<(), Problem> {
    let parameters = [
        text(&idempotency.key),
        text(&idempotency.receipt),
        last_position.map_or(ValueRef::Null, |position| integer(position.get())),
        integer(committed_at.micros()),
    ];
    connection.execute(INSERT_IDEMPOTENCY_KEY, &parameters).await.map(drop)
}

/// The sequence of an aggregate's last event; `None` when it does not exist.
pub(crate) async fn version_of(
    connection: &mut impl Connection,
    id: AggregateId,
) -> Result<Option<Sequence>, Problem> {
    match connection.row(VERSION_OF, &[integer(id.get())]).await? {
        Some([version]) => Ok(Some(Sequence::new(row::integer("the version of an aggregate", &version)?))),
        None => Ok(None),
    }
}

/// Moves an aggregate from one version to the next; false when it is not there.
pub(crate) async fn advance_aggregate(
    connection: &mut impl Connection,
    change: &AggregateChange,
    expected: Sequence,
) -> Result<bool, Problem> {
    let parameters = [integer(change.id.get()), integer(expected.get()), integer(change.version.get())];
    Ok(connection.execute(ADVANCE_AGGREGATE, &parameters).await? == 1)
}

/// The same for an aggregate that gives up its key, or that has none; false also when its key is another.
pub(crate) async fn free_key(
    connection: &mut impl Connection,
    change: &AggregateChange,
    expected: Sequence,
    key: Option<&NaturalKey>,
) -> Result<bool, Problem> {
    let parameters = [
        integer(change.id.get()),
        integer(expected.get()),
        integer(change.version.get()),
        optional(key.map(NaturalKey::as_str)),
    ];
    Ok(connection.execute(FREE_KEY, &parameters).await? == 1)
}

/// Gives a key to an aggregate that has none.
pub(crate) async fn set_key(
    connection: &mut impl Connection,
    id: AggregateId,
    key: &NaturalKey,
) -> Result<(), Problem> {
    connection.execute(SET_KEY, &[integer(id.get()), text(key.as_str())]).await.map(drop)
}

/// Creates an aggregate; false when it exists.
pub(crate) async fn insert_aggregate(
    connection: &mut impl Connection,
    change: &AggregateChange,
    key: Option<&NaturalKey>,
) -> Result<bool, Problem> {
    let parameters = [
        integer(change.id.get()),
        integer(change.type_id.get()),
        optional(key.map(NaturalKey::as_str)),
        integer(change.version.get()),
    ];
    Ok(connection.execute(INSERT_AGGREGATE, &parameters).await? == 1)
}

/// Appends an event to the log.
pub(crate) async fn insert_event(
    connection: &mut impl Connection,
    event: &NewEvent,
    recorded_at: Timestamp,
) -> Result<(), Problem> {
    let parameters = [
        integer(event.aggregate_id.get()),
        integer(event.aggregate_type.get()),
        integer(event.event_type.get()),
        integer(event.sequence.get()),
        integer(event.time.micros()),
        integer(recorded_at.micros()),
        optional(event.reference.as_deref()),
        optional(event.metadata.as_deref()),
        integer(event.payload.codec.get().into()),
        payload(&event.payload),
    ];
    connection.execute(INSERT_EVENT, &parameters).await.map(drop)
}

/// The position of the last event that [`insert_event`] appended.
pub(crate) async fn last_position(connection: &mut impl Connection) -> Result<Position, Problem> {
    match connection.row(LAST_POSITION, &[]).await? {
        Some([position]) => Ok(Position::new(row::integer("a position", &position)?)),
        None => Ok(Position::START),
    }
}

/// Keeps a snapshot, unless there is a newer one.
pub(crate) async fn put_snapshot(
    connection: &mut impl Connection,
    snapshot: &NewSnapshot,
) -> Result<(), Problem> {
    let parameters = [
        integer(snapshot.aggregate_id.get()),
        integer(snapshot.sequence.get()),
        integer(snapshot.fingerprint.get()),
        integer(snapshot.payload.codec.get().into()),
        payload(&snapshot.payload),
    ];
    connection.execute(PUT_SNAPSHOT, &parameters).await.map(drop)
}

/// Moves a subscription's cursor, if it is where the checkpoint expects it and the token is that of the owner.
pub(crate) async fn move_cursor(
    connection: &mut impl Connection,
    checkpoint: &Checkpoint,
    now: Timestamp,
) -> Result<bool, Problem> {
    let anchor = checkpoint.anchor.as_ref();
    let parameters = [
        text(&checkpoint.name),
        integer(checkpoint.token.get()),
        integer(checkpoint.from.get()),
        integer(checkpoint.to.get()),
        integer(now.micros()),
        anchor.map_or(ValueRef::Null, |event| integer(event.position.get())),
        anchor.map_or(ValueRef::Null, |event| integer(event.aggregate_id.get())),
        anchor.map_or(ValueRef::Null, |event| integer(event.sequence.get())),
        anchor.map_or(ValueRef::Null, |event| integer(event.recorded_at.micros())),
    ];
    Ok(connection.execute(MOVE_CURSOR, &parameters).await? == 1)
}

/// Records an event that a subscription skipped, in place of what was recorded of it before.
pub(crate) async fn record_failed_delivery(
    connection: &mut impl Connection,
    subscription: &str,
    failed: &NewFailedDelivery,
    now: Timestamp,
) -> Result<(), Problem> {
    let parameters = [
        text(subscription),
        integer(failed.position.get()),
        integer(failed.attempts.into()),
        text(&failed.error),
        integer(now.micros()),
    ];
    connection.execute(RECORD_FAILED_DELIVERY, &parameters).await.map(drop)
}

/// Who owns a subscription, and where its cursor is; `None` when there is none of this name.
pub(crate) async fn ownership(
    connection: &mut impl Connection,
    subscription: &str,
) -> Result<Option<Ownership>, Problem> {
    let Some([token, owner, paused, cursor]) = connection.row(OWNERSHIP, &[text(subscription)]).await? else {
        return Ok(None);
    };
    Ok(Some(Ownership {
        token: FencingToken::new(row::integer("the token of a subscription", &token)?),
        owner: match owner {
            Value::Null => None,
            owner => Some(row::text("the owner of a subscription", owner)?),
        },
        paused: row::integer("the pause of a subscription", &paused)? != 0,
        cursor: Position::new(row::integer("the cursor of a subscription", &cursor)?),
    }))
}

fn integer<'a>(value: i64) -> ValueRef<'a> {
    ValueRef::Integer(value)
}

fn text(value: &str) -> ValueRef<'_> {
    ValueRef::Text(value.as_bytes())
}

fn optional(value: Option<&str>) -> ValueRef<'_> {
    value.map_or(ValueRef::Null, text)
}

/// JSON as text, so that people can read it; everything else as the bytes that it is.
fn payload(payload: &Payload) -> ValueRef<'_> {
    match payload.codec {
        Codec::JSON if std::str::from_utf8(&payload.bytes).is_ok() => ValueRef::Text(&payload.bytes),
        _ => ValueRef::Blob(&payload.bytes),
    }
}
