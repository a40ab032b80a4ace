//! The tasks of this repository, for `cargo xtask`. They need a Rust toolchain, a C compiler and
//! PostgreSQL, nothing more.

pub mod ci;
mod count;
pub mod db;
mod examples;
mod failure;
mod manifest;
pub mod postgres;
pub mod run;
pub mod test;
pub mod tidy;

pub use self::failure::{Failure, Result};
