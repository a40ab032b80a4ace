//! What can go wrong inside, and what callers see of it.

use std::{fmt, time::Duration};

use evercore::{
    AggregateId, Position, Sequence,
    engine::{CommitError, EngineError, EngineErrorKind},
};
use sqlx::{
    error::DatabaseError,
    postgres::{PgDatabaseError, PgSeverity},
};

use crate::mark::Mark;

/// The engine's name in errors and traces.
pub(crate) const ENGINE: &str = "postgres";

/// What went wrong; [`during`](Self::during) makes it a public error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Server(#[from] sqlx::Error),
    #[error("there was no answer within {0:?}")]
    NoAnswerWithin(Duration),
    #[error("no connection was free within {0:?}")]
    NoConnectionWithin(Duration),
    #[error("the server could not be reached within {0:?}")]
    NotReachedWithin(Duration),
    #[error("the answer has no rows")]
    NoAnswer,
    #[error("the URL is not of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url,
    #[error(
        "{0:?} cannot be the name of a schema: at most 63 letters, digits and underscores, no digit first, no pg_"
    )]
    SchemaName(String),
    #[error("the schema has version {found}, this version of the library knows those up to {known}")]
    NewerSchema { found: i64, known: i64 },
    #[error(
        "the schema has version {found} and must be migrated to {known}: by opening the store without `without_migration`, or by `PostgresEngine::migrate`, as a role that may create tables"
    )]
    OlderSchema { found: i64, known: i64 },
    #[error(
        "the database has no event store in this schema: it is made by opening the store without `without_migration`, by `PostgresEngine::migrate`, or by hand with the text of `PostgresEngine::migrations_sql`"
    )]
    NoSchema,
    #[error(
        "step {version} of the migrations ({name}) failed in the schema {schema}, and nothing was changed{hint}"
    )]
    Migration { version: i64, name: &'static str, schema: String, hint: &'static str, source: Box<Problem> },
    #[error(
        "the schema {schema} is not as the migrations made it, somebody has altered it: {changes}; undo that"
    )]
    Altered { schema: String, changes: String },
    #[error("there is no session at {at}")]
    Connecting { at: String, source: Box<Problem> },
    #[error("the server has version {0}, PostgreSQL 14.1 or later is needed")]
    OldServer(i32),
    #[error("the database is encoded in {0}, UTF8 is needed")]
    Encoding(String),
    #[error("the sequence {0} was altered: it must have INCREMENT 1, CACHE 1 and NO CYCLE")]
    Sequence(String),
    #[error(
        "the log ends at position {head}, but its sequence has drawn no further than {last_drawn}; run {repair}"
    )]
    SequenceBehind { head: i64, last_drawn: i64, repair: String },
    #[error("a new connection found another store than those before")]
    OtherStore,
    #[error(
        "the server was started again, or a pooler went to another one: what was known of the log is void"
    )]
    OtherServer,
    #[error(
        "at position {} there was {expected}, when it was read; now there is {}: the server has lost events, as after a failover to one that was behind, or a restore. Bring what was made of them back to the log, then open the store anew",
        expected.position, Found(found)
    )]
    Rewound { expected: Mark, found: Option<Mark> },
    #[error(
        "this copy of the log goes to position {wanted} at least, and may be read up to {limit} since {within:?}: read the log where it is written too, or tell this engine where that is (primary_url). A transaction that has appended and stays open holds up readers everywhere. Tables that are replicated one by one must include horizon, in the same subscription as events"
    )]
    NoHorizon { limit: Position, wanted: Position, within: Duration },
    #[error("the URL of the primary leads to a copy of the log; name the server on which it is written")]
    NotPrimary,
    #[error("the log is copied here by a subscription: write where it comes from")]
    Subscribed,
    #[error(
        "statements of one connection are answered by different servers, some of which have a copy of the log: connect to one of them"
    )]
    ManyServers,
    #[error("{what} has the impossible value {value:?}")]
    Impossible { what: &'static str, value: String },
    #[error("there was no answer when the transaction was committed: it is as a whole, or not at all")]
    InDoubt(#[source] Box<Problem>),
    /// Of a call that wrote in a transaction of its own, which was not committed for certain.
    #[error(transparent)]
    BeforeCommit(Box<Problem>),
    #[error("a statement of the transaction failed, or its connection broke: nothing of it was committed")]
    NotCommitted(#[source] Box<Problem>),
    #[error("the payloads have {bytes} bytes, a commit can have {most}")]
    TooLarge { bytes: usize, most: usize },
    #[error("the transaction is one of another store")]
    ForeignTransaction,
    #[error("others were faster {0} times")]
    Outrun(u32),
    #[error("the engine was closed")]
    Closed,
}

/// What is at a position.
struct Found<'a>(&'a Option<Mark>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(mark) => mark.fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl Problem {
    /// The public form; `operation` completes "cannot …".
    pub(crate) fn during(self, operation: &'static str) -> EngineError {
        EngineError::new(ENGINE, operation, self.kind(), self)
    }

    pub(crate) fn kind(&self) -> EngineErrorKind {
        match self {
            Self::Server(error) => kind_of(error),
            Self::BeforeCommit(problem)
            | Self::Connecting { source: problem, .. }
            | Self::Migration { source: problem, .. } => problem.kind(),
            Self::OtherServer => EngineErrorKind::ConnectionLost,
            Self::NoAnswerWithin(_) | Self::NoConnectionWithin(_) | Self::NotReachedWithin(_) => {
                EngineErrorKind::Timeout
            }
            Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::NoSchema
            | Self::Altered { .. }
            | Self::Sequence(_)
            | Self::OtherStore
            | Self::SequenceBehind { .. } => EngineErrorKind::Incompatible,
            Self::NoAnswer | Self::Impossible { .. } => EngineErrorKind::Corrupt,
            Self::Rewound { .. } => EngineErrorKind::LogRewound,
            Self::NoHorizon { .. } => EngineErrorKind::NoHorizon,
            Self::Subscribed => EngineErrorKind::ReadOnly,
            Self::OldServer(_) | Self::Encoding(_) | Self::ManyServers | Self::TooLarge { .. } => {
                EngineErrorKind::Unsupported
            }
            Self::ForeignTransaction => EngineErrorKind::Unsupported,
            Self::Outrun(_) => EngineErrorKind::Busy,
            Self::Closed => EngineErrorKind::Closed,
            Self::InDoubt(_) | Self::NotCommitted(_) => EngineErrorKind::Other,
            Self::Url | Self::SchemaName(_) | Self::NotPrimary => EngineErrorKind::Misconfigured,
        }
    }

    /// What the server answered, when it answered.
    pub(crate) fn answer(&self) -> Option<&PgDatabaseError> {
        match self {
            Self::Server(error) => answer_of(error),
            Self::BeforeCommit(problem) | Self::Connecting { source: problem, .. } => problem.answer(),
            _ => None,
        }
    }

    /// Whether the connection is of no use any more: it broke, the server ended it, or an answer is still
    /// to come. An answer that was read and makes no sense is no fault of it.
    pub(crate) fn is_of_connection(&self) -> bool {
        self.kind() != EngineErrorKind::Corrupt
            && self.answer().is_none_or(|answer| {
                let is_fatal = matches!(answer.severity(), PgSeverity::Fatal | PgSeverity::Panic);
                is_fatal || is_end(answer.code())
            })
    }

    /// Whether the connection is known to have broken.
    pub(crate) fn is_lost_connection(&self) -> bool {
        self.kind() == EngineErrorKind::ConnectionLost
    }

    /// Whether a statement that was prepared on this connection cannot be run on it any more: its tables have
    /// changed, or a pooler has put another session behind the connection.
    pub(crate) fn is_of_statement(&self) -> bool {
        self.answer().is_some_and(|answer| matches!(answer.code(), "0A000" | "26000" | "42P05"))
    }

    /// Whether the server could not put the transaction in an order with those of others.
    pub(crate) fn is_serialization_failure(&self) -> bool {
        self.answer().is_some_and(|answer| answer.code() == "40001")
    }

    /// The same problem as one before a `COMMIT` was sent.
    pub(crate) fn before_commit(self) -> Self {
        Self::BeforeCommit(Box::new(self))
    }

    /// The same problem as one of a `COMMIT`, after which trying again is not safe when it may have been made.
    pub(crate) fn of_finish(self) -> Self {
        match self.is_of_connection() {
            true => Self::InDoubt(Box::new(self)),
            false => self,
        }
    }

    /// What it means for a commit that was sent. After an error that the server answered with nothing was
    /// written; otherwise it may have been.
    pub(crate) fn of_commit(self) -> CommitError {
        if let Some(refusal) = self.answer().and_then(refusal) {
            return refusal;
        }
        let sent = !matches!(self, Self::Server(sqlx::Error::Encode(_)) | Self::BeforeCommit(_));
        match sent && self.is_of_connection() {
            true => CommitError::OutcomeUnknown(self.during("commit")),
            false => CommitError::Engine(self.during("commit")),
        }
    }
}

impl From<Problem> for CommitError {
    /// Of a problem after which nothing is written.
    fn from(problem: Problem) -> Self {
        Self::Engine(problem.during("commit"))
    }
}

/// What `commit_v1` refuses by codes of its own.
fn refusal(answer: &PgDatabaseError) -> Option<CommitError> {
    let mut numbers = answer.detail().unwrap_or_default().split(' ').map_while(|number| number.parse().ok());
    let aggregate = AggregateId::new(numbers.next()?);
    match answer.code() {
        "EV001" => Some(CommitError::Conflict { aggregate, actual: numbers.next().map(Sequence::new) }),
        "EV002" => Some(CommitError::UnknownAggregate(aggregate)),
        "EV003" => Some(CommitError::DuplicateKey(aggregate)),
        _ => None,
    }
}

fn answer_of(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(<dyn DatabaseError>::try_downcast_ref)
}

/// Whether the server ended the connection with these words.
fn is_end(code: &str) -> bool {
    matches!(code, "57P01" | "57P02" | "57P03" | "57P05")
}

fn kind_of(error: &sqlx::Error) -> EngineErrorKind {
    if let Some(answer) = answer_of(error) {
        return match answer.code().starts_with("23") {
            true => kind_of_violation(answer),
            false => kind_of_code(answer.code()),
        };
    }
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => EngineErrorKind::ConnectionLost,
        sqlx::Error::PoolTimedOut => EngineErrorKind::Timeout,
        sqlx::Error::PoolClosed => EngineErrorKind::Closed,
        // A column of another type, or without a value.
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => EngineErrorKind::Incompatible,
        sqlx::Error::Decode(_) | sqlx::Error::RowNotFound => EngineErrorKind::Corrupt,
        _ => EngineErrorKind::Other,
    }
}

/// The constraints of the store's tables, of which a commit violates none: what it would do is checked before.
const CONSTRAINTS: [&str; 31] = [
    "store_only_row",
    "store_has_one_row",
    "store_next_aggregate_id_is_positive",
    "aggregate_types_id",
    "aggregate_types_name",
    "event_types_id",
    "event_types_name",
    "aggregates_id",
    "aggregates_id_is_positive",
    "aggregates_version_is_not_negative",
    "aggregates_natural_key_is_short",
    "aggregates_natural_key",
    "events_position_is_unique",
    "events_sequence_is_unique",
    "snapshots_aggregate_id",
    "snapshots_aggregate_exists",
    "idempotency_keys_key",
    "migrations_version",
    "horizon_only_row",
    "horizon_has_one_row",
    "subscriptions_name",
    "subscriptions_name_is_short",
    "subscriptions_owner_has_a_lease",
    "subscriptions_paused_has_no_owner",
    "subscription_cursors_subscription",
    "subscription_cursors_subscription_exists",
    "subscription_cursors_position_is_not_negative",
    "subscription_cursors_anchor_is_whole",
    "failed_deliveries_position",
    "failed_deliveries_subscription_exists",
    "failed_deliveries_attempts_are_few",
];

/// A violated constraint of the store means that its rows contradict each other; another one was added by somebody,
/// or belongs to a table that a trigger writes to.
fn kind_of_violation(answer: &PgDatabaseError) -> EngineErrorKind {
    match answer.constraint().is_some_and(|name| CONSTRAINTS.contains(&name)) {
        true => EngineErrorKind::Corrupt,
        false => EngineErrorKind::Other,
    }
}

fn kind_of_code(code: &str) -> EngineErrorKind {
    match code {
        // Serialization failure, deadlock, lock not available, too many connections.
        "40001" | "40P01" | "55P03" | "53300" => EngineErrorKind::Busy,
        // Statement canceled.
        "57014" => EngineErrorKind::Timeout,
        // A read-only transaction or server; no privilege.
        "25006" | "42501" => EngineErrorKind::ReadOnly,
        "53100" => EngineErrorKind::StorageFull,
        // No such database, schema, table, column, function, unique index.
        "3D000" | "3F000" | "42P01" | "42703" | "42883" | "42P10" => EngineErrorKind::Incompatible,
        // A column of another type; a table, an object or a function that is there already.
        "42804" | "42P07" | "42710" | "42723" => EngineErrorKind::Incompatible,
        // The user, or the password.
        "28000" | "28P01" => EngineErrorKind::Misconfigured,
        // Another store under the same names.
        "EV004" => EngineErrorKind::Unsupported,
        "XX001" | "XX002" => EngineErrorKind::Corrupt,
        // A prepared statement that is missing, or there already: the connection was closed because of it.
        "26000" | "42P05" => EngineErrorKind::ConnectionLost,
        code if is_end(code) || code.starts_with("08") => EngineErrorKind::ConnectionLost,
        _ => EngineErrorKind::Other,
    }
}
