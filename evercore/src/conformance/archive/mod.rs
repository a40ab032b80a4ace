//! A store of long ago, read by programs of today.
//!
//! An engine's package keeps a store that was written once, by the first version of a small program, and is
//! committed: a file, a dump. The tests restore copies of it and open them with the second and the third version of the
//! program, in which nearly everything has changed that may change: names, fields, whole shapes. So they show that
//! events stay readable over the years, and that the engine reads, and migrates, what an earlier release of
//! it has stored.
//!
//! # How the archive is made
//!
//! By a test, `archive::the_archive_is_what_the_first_version_writes`, when the environment variable
//! `EVERCORE_KEEP_ARCHIVE` is set, and that test alone, because the others read what it writes:
//!
//! ```text
//! EVERCORE_KEEP_ARCHIVE=1 cargo test -p evercore-sqlite --test conformance the_archive_is_what
//! ```
//!
//! Without the variable it compares what is kept with what the first version writes today, so neither
//! changes unseen. Once an engine is released, its archive is not made again: its age is its worth. Where
//! more is to be shown, a second archive stands beside it.

mod cases;
mod first;
mod generations;
mod second;
mod third;

use super::Harness;
use crate::engine::StorageEngine;

pub use self::{
    cases::{
        a_failure_to_upcast_names_the_event_and_the_cause, filters_by_new_names_find_old_events,
        raw_histories_are_decoded, subscriptions_deliver_old_events_upcast,
        the_archive_is_what_the_first_version_writes, the_first_version_still_reads_it,
        the_second_version_reads_it, the_third_version_reads_it,
    },
    generations::{
        a_version_that_is_older_than_an_event_says_so, the_third_version_reads_all_three_generations,
    },
};

/// The environment variable that has the archive made anew.
pub const KEEP_VARIABLE: &str = "EVERCORE_KEEP_ARCHIVE";

/// Says where an engine's archive is.
pub trait ArchiveHarness: Harness {
    /// A copy of the archive that nobody else uses. It lives as long as the harness.
    fn restore() -> impl Future<Output = Self> + Send;

    /// Makes this store the archive. All engines on it are closed.
    fn keep(self) -> impl Future<Output = ()> + Send;
}

/// Writes what an archive contains into an empty store: for an engine that keeps nothing, and so has no archive.
///
/// # Panics
///
/// When it cannot be written.
pub async fn write(engine: impl StorageEngine) {
    let store = first::open(engine).await;
    first::write(&store).await.unwrap();
    store.close().await.unwrap();
}

/// Writes the tests of an archive, in a module `archive`, for an [`ArchiveHarness`].
#[macro_export]
macro_rules! archive_tests {
    ($harness:ty) => {
        mod archive {
            #[allow(unused_imports, reason = "the harness may be named by an absolute path")]
            use super::*;

            $crate::archive_tests!($harness:
                the_archive_is_what_the_first_version_writes
                the_first_version_still_reads_it
                the_second_version_reads_it
                the_third_version_reads_it
                filters_by_new_names_find_old_events
                subscriptions_deliver_old_events_upcast
                raw_histories_are_decoded
                a_failure_to_upcast_names_the_event_and_the_cause
                the_third_version_reads_all_three_generations
                a_version_that_is_older_than_an_event_says_so);
        }
    };
    ($harness:ty: $($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $case() {
            $crate::conformance::archive::$case::<$harness>().await;
        })*
    };
}
