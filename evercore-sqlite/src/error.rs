//! What can go wrong inside, and what callers see of it.

use std::path::PathBuf;

use evercore::{
    Position,
    engine::{CommitError, EngineError, EngineErrorKind, Fenced, OwnerError},
};
use rusqlite::ffi;

/// The engine's name in errors and traces.
pub(crate) const ENGINE: &str = "sqlite";

/// What went wrong; [`during`](Self::during) makes it a public error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// SQLite refused, as the engine's own driver reports it.
    #[error(transparent)]
    Own(#[from] rusqlite::Error),
    /// SQLite refused, as the driver of the caller's transaction reports it.
    #[error(transparent)]
    Callers(#[from] sqlx::Error),
    #[error("cannot open {path:?}", path = .path)]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("{path:?} is a directory", path = .0)]
    Directory(PathBuf),
    #[error("{path:?} is not a SQLite database", path = .0)]
    NoDatabase(PathBuf),
    #[error("the database keeps texts in {0}, a store needs UTF-8")]
    Encoding(String),
    #[error("the schema has version {found}, this version of the library knows those up to {known}")]
    NewerSchema { found: i64, known: i64 },
    #[error("the schema has version {found} and must be migrated to {known}")]
    OlderSchema { found: i64, known: i64 },
    #[error("{what} has the impossible value {value:?}")]
    Impossible { what: &'static str, value: String },
    #[error("{0:?} names no store; a URL has the form sqlite://PATH, sqlite:PATH or sqlite::memory:")]
    NoPlace(String),
    #[error("the pool's database is in memory and cannot be shared; use the engine's own pool")]
    UnsharedPool,
    #[error("the transaction is one of {transaction:?}, the store is in {store:?}")]
    OtherDatabase { transaction: String, store: String },
    /// The operating system failed during `COMMIT`. The end of the transaction may stand in the write-ahead
    /// log, to be found after a crash, although this process was told that it could not be written or
    /// synchronized. Every other refusal comes before that point, and so does a full disk, which cuts the
    /// transaction short.
    #[error("the operating system failed while the transaction was committed")]
    InDoubt(#[source] Box<Problem>),
    #[error("the store was opened for reading alone")]
    ReadOnly,
    #[error("the engine was closed")]
    Closed,
    #[error("a thread of the engine panicked")]
    Panicked,
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

impl Problem {
    /// The public form; `operation` completes "cannot …".
    pub(crate) fn during(self, operation: &'static str) -> EngineError {
        EngineError::new(ENGINE, operation, self.kind(), self)
    }

    fn kind(&self) -> EngineErrorKind {
        match self {
            Self::Own(error) | Self::Open { source: error, .. } => own_kind(error),
            Self::Callers(sqlx::Error::PoolTimedOut) => EngineErrorKind::Timeout,
            Self::Callers(sqlx::Error::PoolClosed) | Self::Closed => EngineErrorKind::Closed,
            Self::Callers(_) => self.code().map_or(EngineErrorKind::Other, kind_of),
            Self::NoDatabase(_) | Self::Encoding(_) | Self::NewerSchema { .. } | Self::OlderSchema { .. } => {
                EngineErrorKind::Incompatible
            }
            Self::Impossible { .. } => EngineErrorKind::Corrupt,
            Self::ReadOnly => EngineErrorKind::ReadOnly,
            Self::UnsharedPool | Self::OtherDatabase { .. } => EngineErrorKind::Unsupported,
            Self::NoPlace(_) | Self::Directory(_) => EngineErrorKind::Misconfigured,
            Self::InDoubt(_) | Self::Panicked | Self::Thread(_) => EngineErrorKind::Other,
        }
    }

    /// SQLite's extended result code, when it was SQLite that refused.
    fn code(&self) -> Option<i32> {
        match self {
            Self::Own(error) | Self::Open { source: error, .. } => {
                error.sqlite_error().map(|error| error.extended_code)
            }
            Self::Callers(error) => error.as_database_error()?.code()?.parse().ok(),
            _ => None,
        }
    }

    /// Whether SQLite refused because two rows would have the same values in these columns.
    pub(crate) fn violates_unique(&self, columns: &str) -> bool {
        let message = match self {
            Self::Own(rusqlite::Error::SqliteFailure(_, Some(message))) => message,
            Self::Callers(error) => error.as_database_error().map_or("", |error| error.message()),
            _ => return false,
        };
        self.code() == Some(ffi::SQLITE_CONSTRAINT_UNIQUE) && message.ends_with(columns)
    }

    /// The same problem as one of a `COMMIT`.
    pub(crate) fn of_commit(self) -> Self {
        match self.code().map(primary) {
            Some(ffi::SQLITE_IOERR) => Self::InDoubt(self.into()),
            _ => self,
        }
    }

    /// Whether SQLite could not get a lock.
    pub(crate) fn is_busy(&self) -> bool {
        self.kind() == EngineErrorKind::Busy
    }
}

/// Nothing was written, unless the problem says otherwise.
impl From<Problem> for CommitError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::InDoubt(_) | Problem::Panicked => Self::OutcomeUnknown(problem.during("commit changes")),
            _ => Self::Engine(problem.during("write changes")),
        }
    }
}

/// Why the owner of a subscription could not do something; [`during`](Self::during) makes it a public error.
#[derive(Debug)]
pub(crate) enum OwnerProblem {
    Fenced(Fenced),
    Moved(Position),
    Problem(Problem),
}

impl OwnerProblem {
    /// The public form; `operation` completes "cannot …".
    pub(crate) fn during(self, operation: &'static str) -> OwnerError {
        match self {
            Self::Fenced(fenced) => OwnerError::Fenced(fenced),
            Self::Moved(position) => OwnerError::Moved(position),
            Self::Problem(problem) => OwnerError::Engine(problem.during(operation)),
        }
    }
}

impl From<Problem> for OwnerProblem {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

fn own_kind(error: &rusqlite::Error) -> EngineErrorKind {
    match error {
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::QueryReturnedNoRows => EngineErrorKind::Corrupt,
        error => error.sqlite_error().map_or(EngineErrorKind::Other, |error| kind_of(error.extended_code)),
    }
}

/// The low byte of an extended result code.
fn primary(code: i32) -> i32 {
    code & 0xff
}

fn kind_of(code: i32) -> EngineErrorKind {
    match primary(code) {
        // A protocol error is a race for a lock that was lost too often.
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => EngineErrorKind::Busy,
        ffi::SQLITE_READONLY => EngineErrorKind::ReadOnly,
        ffi::SQLITE_FULL => EngineErrorKind::StorageFull,
        ffi::SQLITE_NOTADB => EngineErrorKind::Incompatible,
        ffi::SQLITE_CORRUPT => EngineErrorKind::Corrupt,
        _ => EngineErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use evercore::engine::{CommitError, EngineErrorKind};
    use rusqlite::ffi;

    use super::Problem;

    fn refusal(code: i32) -> Problem {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("words".to_owned())).into()
    }

    #[test]
    fn every_refusal_has_its_kind() {
        for (code, kind) in [
            (ffi::SQLITE_BUSY, EngineErrorKind::Busy),
            (ffi::SQLITE_BUSY_SNAPSHOT, EngineErrorKind::Busy),
            (ffi::SQLITE_LOCKED, EngineErrorKind::Busy),
            (ffi::SQLITE_PROTOCOL, EngineErrorKind::Busy),
            (ffi::SQLITE_READONLY_DBMOVED, EngineErrorKind::ReadOnly),
            (ffi::SQLITE_FULL, EngineErrorKind::StorageFull),
            (ffi::SQLITE_NOTADB, EngineErrorKind::Incompatible),
            (ffi::SQLITE_CORRUPT_INDEX, EngineErrorKind::Corrupt),
            (ffi::SQLITE_IOERR_READ, EngineErrorKind::Other),
        ] {
            let error = refusal(code).during("try");
            assert_eq!((error.engine(), error.operation(), error.kind()), ("sqlite", "try", kind), "{code}");
            assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("words"));
        }
    }

    #[test]
    fn a_commit_is_in_doubt_when_the_operating_system_fails_and_only_then() {
        let in_doubt = CommitError::from(refusal(ffi::SQLITE_IOERR_FSYNC).of_commit());
        assert!(matches!(in_doubt, CommitError::OutcomeUnknown(_)), "{in_doubt:?}");
        for problem in
            [refusal(ffi::SQLITE_FULL).of_commit(), refusal(ffi::SQLITE_IOERR_READ), Problem::Closed]
        {
            let refused = CommitError::from(problem);
            assert!(matches!(refused, CommitError::Engine(_)), "{refused:?}");
        }
    }

    #[test]
    fn unique_violations_are_told_apart_by_their_columns() {
        let violation = ffi::Error::new(ffi::SQLITE_CONSTRAINT_UNIQUE);
        let message = "UNIQUE constraint failed: a.b, a.c".to_owned();
        let problem = Problem::from(rusqlite::Error::SqliteFailure(violation, Some(message)));
        assert!(problem.violates_unique("a.b, a.c"));
        assert!(!problem.violates_unique("a.b"));
        assert!(!refusal(ffi::SQLITE_CONSTRAINT_UNIQUE).violates_unique("a.b, a.c"));
    }
}
