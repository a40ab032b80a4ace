//! What can go wrong inside, and what callers see of it.

use std::path::PathBuf;

use evercore::engine::{CommitError, EngineError, EngineErrorKind};
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
    #[error("{path:?} is not a SQLite database", path = .0)]
    NoDatabase(PathBuf),
    #[error("the schema has version {found}, this version of the library knows those up to {known}")]
    NewerSchema { found: i64, known: i64 },
    #[error("the schema has version {found} and must be migrated to {known}")]
    OlderSchema { found: i64, known: i64 },
    #[error("{what} has the impossible value {value:?}")]
    Impossible { what: &'static str, value: String },
    #[error("the URL {0:?} is not of the form sqlite://PATH, sqlite:PATH or sqlite::memory:")]
    Url(String),
    #[error("the pool's database is in memory and cannot be shared; use the engine's own pool")]
    UnsharedPool,
    #[error("the transaction is one of {transaction:?}, the store is in {store:?}")]
    OtherDatabase { transaction: String, store: String },
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
            Self::NoDatabase(_) | Self::NewerSchema { .. } | Self::OlderSchema { .. } => {
                EngineErrorKind::Incompatible
            }
            Self::Impossible { .. } => EngineErrorKind::Corrupt,
            Self::UnsharedPool | Self::OtherDatabase { .. } => EngineErrorKind::Unsupported,
            Self::Url(_) | Self::Panicked | Self::Thread(_) => EngineErrorKind::Other,
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

    /// Whether a failed `COMMIT` may have reached the file all the same. That is so when the operating
    /// system failed: the end of the transaction may stand in the write-ahead log, to be found after a crash,
    /// although this process was told that it could not be written or synchronized. Every other
    /// refusal comes before that point, and so does a full disk, which cuts the transaction short.
    pub(crate) fn leaves_commit_open(&self) -> bool {
        self.code().is_some_and(|code| primary(code) == ffi::SQLITE_IOERR)
    }

    /// Whether SQLite could not get a lock.
    pub(crate) fn is_busy(&self) -> bool {
        self.kind() == EngineErrorKind::Busy
    }
}

/// Nothing was written.
impl From<Problem> for CommitError {
    fn from(problem: Problem) -> Self {
        Self::Engine(problem.during("write changes"))
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
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => EngineErrorKind::Busy,
        ffi::SQLITE_READONLY => EngineErrorKind::ReadOnly,
        ffi::SQLITE_FULL => EngineErrorKind::StorageFull,
        ffi::SQLITE_NOTADB => EngineErrorKind::Incompatible,
        ffi::SQLITE_CORRUPT => EngineErrorKind::Corrupt,
        _ => EngineErrorKind::Other,
    }
}
