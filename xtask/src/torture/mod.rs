//! `cargo xtask torture postgres`: writers that do everything by which a reader of the log could lose events, readers
//! beside them, and a judge who compares what readers got with what was written.
//!
//! A short run of it is a test; as a task it runs as long as one likes. What writers do and how large the pages of
//! readers are is drawn from a seed, so that a run can be repeated, though not its timing.

#[cfg(feature = "torture")]
mod bank;
#[cfg(feature = "torture")]
mod judge;
#[cfg(feature = "torture")]
mod lags;
#[cfg(feature = "torture")]
mod options;
#[cfg(feature = "torture")]
mod place;
#[cfg(feature = "torture")]
mod plan;
#[cfg(feature = "torture")]
mod progress;
#[cfg(feature = "torture")]
mod reader;
#[cfg(feature = "torture")]
mod report;
#[cfg(feature = "torture")]
mod run;
#[cfg(feature = "torture")]
mod saturation;
#[cfg(feature = "torture")]
mod strangers;
#[cfg(feature = "torture")]
mod task;
#[cfg(feature = "torture")]
mod writer;

#[cfg(all(test, feature = "torture"))]
mod tests;

#[cfg(feature = "torture")]
pub use self::task::torture;

/// Runs this program again, with the engine in it.
///
/// # Errors
///
/// When it cannot be built, and when the run fails.
#[cfg(not(feature = "torture"))]
pub fn torture(arguments: &[String]) -> crate::Result {
    crate::run::again("torture", "torture", arguments)
}
