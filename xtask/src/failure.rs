//! The one way in which a task fails: with a text for the person who started it.

use std::{error::Error, fmt, io, path::Path};

/// What a task returns.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Why a task failed and what to do next.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Says which file or directory an error is about.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {}
