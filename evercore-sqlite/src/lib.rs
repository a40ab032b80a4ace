//! Engine.

mod commit;
mod driver;
mod engine;
mod error;
mod migrate;
mod options;
mod read;
mod row;
mod statements;
mod threads;
mod types;

pub use self::{
    engine::SqliteEngine,
    options::{SqliteEngineBuilder, Synchronous},
};

/// The program of the README, so that it compiles as long as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
