//! The in-memory storage engine of [`evercore`]: the reference engine, for unit tests and examples.
//!
//! It keeps every promise of the engine contract except one: its data ends with its last handle.

mod commit;
mod engine;
mod tables;

pub use self::engine::MemoryEngine;
