//! Engine.

mod commit;
mod driver;
mod engine;
mod error;
mod migrate;
mod options;
mod read;
mod row;
mod source;
mod statements;
mod threads;
mod types;

pub use self::{
    commit::commit_in,
    engine::SqliteEngine,
    options::{SqliteEngineBuilder, Synchronous},
};
