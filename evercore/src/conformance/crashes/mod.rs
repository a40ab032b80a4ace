//! Processes that are killed while they run a subscription.
//!
//! The tests start their own binary again. That process runs a subscription on the same store, says each step
//! that it takes, and is killed (`SIGKILL` on Unix) between two of them, or at any moment. Then the next one goes on.

mod deliveries;
mod orders;
mod process;
mod runner;
mod scene;
mod stepping;

use std::time::{Duration, Instant};

use self::{
    orders::{Mode, Orders},
    process::Process,
    scene::Scene,
};
use super::Harness;
use crate::{HandlerError, Position, engine::TransactionalEngine};

pub use self::runner::child;

/// The environment variable that says how often the tests kill at random, where that is to be another number than
/// [`CrashHarness::KILLS`].
pub const KILLS_VARIABLE: &str = "EVERCORE_CRASH_KILLS";

/// The environment variable with the seed of the moments at which the tests kill. Each run says which one it had.
pub const SEED_VARIABLE: &str = "EVERCORE_CRASH_SEED";

/// The steps in which a batch is handled in a transaction. The process is killed before each of them.
const STEPS_IN_TRANSACTIONS: [&str; 9] =
    ["begin", "begun", "handle", "half", "handled", "checkpoint", "checkpointed", "finish", "finished"];

/// The steps in which a batch is handled without one.
const STEPS: [&str; 5] = ["handle", "half", "handled", "checkpoint", "checkpointed"];

/// The lease of an owner that will be killed.
const SHORT: Duration = Duration::from_millis(250);

/// At most so many things are said by a process before it is killed.
const MOST_SAID: usize = 60;

/// Says how the tests reach a store from other processes, and a table of the application beside it.
pub trait CrashHarness: Harness<Engine: TransactionalEngine> {
    /// How often each test kills at random.
    const KILLS: usize;

    /// Where the store is, in one word.
    fn address(&self) -> String;

    /// Opens the store there.
    fn connect(address: &str) -> impl Future<Output = Self::Engine> + Send;

    /// Creates the application's table, which takes the same position more than once.
    fn create_table(engine: &Self::Engine) -> impl Future<Output = ()> + Send;

    /// Puts a position into the table.
    fn insert(
        position: Position,
        transaction: &mut <Self::Engine as TransactionalEngine>::Transaction,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// All positions of the table, each as often as it is there.
    fn positions(engine: &Self::Engine) -> impl Future<Output = Vec<Position>> + Send;
}

/// Writes the tests that kill processes, in a module `crashes`, for a [`CrashHarness`].
#[macro_export]
macro_rules! crash_tests {
    ($harness:ty) => {
        mod crashes {
            #[allow(unused_imports, reason = "the harness may be named by an absolute path")]
            use super::*;

            /// Is started by the others, and does nothing otherwise.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn child() {
                $crate::conformance::crashes::child::<$harness>().await;
            }

            $crate::crash_tests!($harness:
                in_a_transaction_each_event_is_handled_once_wherever_the_process_is_killed
                in_a_transaction_each_event_is_handled_once_whenever_the_process_is_killed
                no_event_is_lost_and_one_batch_is_repeated_wherever_the_process_is_killed
                no_event_is_lost_and_one_batch_is_repeated_whenever_the_process_is_killed
                a_standby_takes_over_when_the_lease_of_a_killed_owner_has_expired);
        }
    };
    ($harness:ty: $($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let child = concat!(module_path!(), "::child");
            $crate::conformance::crashes::$case::<$harness>(child).await;
        })*
    };
}

#[doc(hidden)]
pub async fn in_a_transaction_each_event_is_handled_once_wherever_the_process_is_killed<H: CrashHarness>(
    child: &str,
) {
    let mut scene = Scene::<H>::new(child, Mode::InTransaction).await;
    for step in STEPS_IN_TRANSACTIONS {
        scene.write(3 * runner::BATCH).await;
        let mut process = scene.start(Some(step));
        scene.deliveries_of(&mut process, "stopped").await;
        scene.kill(process).await;
        // Before the handler has the batch, and after the commit, there is nothing to repeat.
        scene.deliveries.expect_repetition(!matches!(step, "begin" | "begun" | "finished"));
        scene.assert_table_is_at_cursor().await;
    }
    scene.finish().await;
    scene.assert_table_is_exact().await;
}

#[doc(hidden)]
pub async fn in_a_transaction_each_event_is_handled_once_whenever_the_process_is_killed<H: CrashHarness>(
    child: &str,
) {
    let mut scene = Scene::<H>::new(child, Mode::InTransaction).await;
    scene.kill_at_random().await;
    scene.assert_table_is_exact().await;
}

#[doc(hidden)]
pub async fn no_event_is_lost_and_one_batch_is_repeated_wherever_the_process_is_killed<H: CrashHarness>(
    child: &str,
) {
    let mut scene = Scene::<H>::new(child, Mode::Plain).await;
    for step in STEPS {
        scene.write(3 * runner::BATCH).await;
        let mut process = scene.start(Some(step));
        scene.deliveries_of(&mut process, "stopped").await;
        scene.kill(process).await;
        // What was handled comes again, unless the cursor has moved behind it.
        scene.deliveries.expect_repetition(step != "checkpointed");
    }
    scene.finish().await;
    scene.assert_all_was_delivered().await;
}

#[doc(hidden)]
pub async fn no_event_is_lost_and_one_batch_is_repeated_whenever_the_process_is_killed<H: CrashHarness>(
    child: &str,
) {
    let mut scene = Scene::<H>::new(child, Mode::Plain).await;
    scene.kill_at_random().await;
    scene.assert_all_was_delivered().await;
}

#[doc(hidden)]
pub async fn a_standby_takes_over_when_the_lease_of_a_killed_owner_has_expired<H: CrashHarness>(child: &str) {
    let lease = Duration::from_millis(1_500);
    let mut scene = Scene::<H>::new(child, Mode::Plain).await;
    scene.write(3 * runner::BATCH).await;
    let orders = Orders { lease, ..scene.orders(Some("half")) };
    let mut owner = Process::start(child, &orders);
    scene.deliveries_of(&mut owner, "stopped").await;

    let mut standby = Process::start(child, &Orders { stop: None, ..orders });
    standby.until("held").await;
    // The owner's handler stands still, and its lease is renewed all the same.
    let claimed = tokio::time::timeout(lease * 2, standby.until("claimed")).await;
    assert!(claimed.is_err(), "the owner lives");
    scene.kill(owner).await;
    let killed = Instant::now();
    scene.deliveries_of(&mut standby, "claimed").await;
    let waited = killed.elapsed();
    assert!(waited < lease * 2, "it waited {waited:?} for a lease of {lease:?}");
    scene.deliveries.expect_repetition(true);
    scene.finish_with(standby).await;
    scene.assert_all_was_delivered().await;
}
