//! The tasks of this repository, for `cargo xtask`. They need a Rust toolchain, a C compiler and
//! PostgreSQL, nothing more.
//!
//! By default no crate of evercore is in here, so that tasks are there at once and work when those do not
//! compile. Tasks that need one belong to a feature, and turn it on by running this program again.

#[cfg(feature = "bench")]
pub mod bench;
pub mod ci;
pub mod compile;
mod count;
pub mod db;
mod examples;
mod failure;
mod manifest;
pub mod postgres;
pub mod run;
pub mod test;
pub mod tidy;
#[cfg(feature = "torture")]
pub mod torture;

pub use self::failure::{Failure, Result};
