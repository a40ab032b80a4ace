//! What can go wrong in an engine.

use std::{error::Error, fmt};

use crate::{AggregateId, Sequence};

/// A failure of an engine: which one, doing what, of which kind, and why ([`source`](Error::source)).
///
/// Its `Debug` is the message followed by those of its sources.
pub struct EngineError(Box<Inner>);

struct Inner {
    engine: &'static str,
    operation: &'static str,
    kind: EngineErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// What kind of failure it is, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineErrorKind {
    /// The store is locked, deadlocked or overloaded; nothing was done. Temporary.
    Busy,
    /// The connection is gone or could not be made; nothing was done. Temporary.
    ConnectionLost,
    /// It took longer than allowed; nothing was done. Temporary.
    Timeout,
    /// The store cannot be written to: a read-only file, role or server.
    ReadOnly,
    /// The disk, or a quota, is full.
    StorageFull,
    /// The engine was told something that can never work: a URL that is none, options that contradict each
    /// other.
    Misconfigured,
    /// What is there is not a store, or not one that this version of the library can read.
    Incompatible,
    /// Stored data contradicts itself.
    Corrupt,
    /// Events that were read are gone, or others are in their places: the store was replaced by an older copy of
    /// itself. Stays so until the engine is opened anew.
    LogRewound,
    /// The log is a copy, and nothing says how far it can be read without missing an event. Temporary: it ends
    /// when somebody reads the log where it is written.
    NoHorizon,
    /// The engine was closed.
    Closed,
    /// The engine cannot do this, or not as it was opened.
    Unsupported,
    /// Anything else.
    Other,
}

impl EngineError {
    /// A failure of `engine` during `operation` (a few words that complete "cannot …").
    pub fn new(
        engine: &'static str,
        operation: &'static str,
        kind: EngineErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Inner { engine, operation, kind, source: source.into() }))
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.0.engine
    }

    /// What it was doing.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> EngineErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed a little later. Nothing was done by the one that failed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(
            self.kind(),
            EngineErrorKind::Busy
                | EngineErrorKind::ConnectionLost
                | EngineErrorKind::Timeout
                | EngineErrorKind::NoHorizon
        )
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.kind() {
            EngineErrorKind::Busy => "the store is busy",
            EngineErrorKind::ConnectionLost => "there is no connection",
            EngineErrorKind::Timeout => "it took too long",
            EngineErrorKind::ReadOnly => "the store is read-only",
            EngineErrorKind::StorageFull => "the storage is full",
            EngineErrorKind::Misconfigured => "it is not configured correctly",
            EngineErrorKind::Incompatible => "it is not a store that this version can read",
            EngineErrorKind::Corrupt => "stored data is corrupt",
            EngineErrorKind::LogRewound => "events that were read are not there any more",
            EngineErrorKind::NoHorizon => "it is not known how far this copy of the log can be read",
            EngineErrorKind::Closed => "the engine is closed",
            EngineErrorKind::Unsupported => "it is not supported",
            EngineErrorKind::Other => return write!(f, "{} cannot {}", self.engine(), self.operation()),
        };
        write!(f, "{} cannot {}: {problem}", self.engine(), self.operation())
    }
}

/// What a program shows first when its `main` returns the error.
impl fmt::Debug for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = self.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl Error for EngineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0.source)
    }
}

/// Why a commit wrote nothing, or perhaps wrote everything.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommitError {
    /// An aggregate is not at the expected sequence, or does not have the expected natural key, or exists
    /// although it should be new. Nothing was written.
    Conflict {
        /// The aggregate.
        aggregate: AggregateId,
        /// The sequence of its last event; `None` when it could not be found out any more.
        actual: Option<Sequence>,
    },
    /// An aggregate that should exist does not. Nothing was written.
    UnknownAggregate(AggregateId),
    /// The natural key that this aggregate should get belongs to another one of its type. Nothing was written.
    DuplicateKey(AggregateId),
    /// Nothing was written.
    Engine(EngineError),
    /// The changes are written as a whole, or nothing is: it could not be found out.
    OutcomeUnknown(EngineError),
}

impl From<EngineError> for CommitError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}
