//! `cargo xtask torture postgres`: writers that do everything by which a reader of the log could lose events, readers
//! beside them, and a judge who compares what readers got with what was written.
//!
//! A short run of it is a test; as a task it runs as long as one likes. What writers do and how large the pages of
//! readers are is drawn from a seed, so that a run can be repeated, though not its timing.

mod bank;
mod judge;
mod lags;
mod options;
mod place;
mod plan;
mod progress;
mod reader;
mod report;
mod run;
mod saturation;
mod strangers;
mod task;
mod writer;

#[cfg(test)]
mod tests;

pub use self::task::torture;
