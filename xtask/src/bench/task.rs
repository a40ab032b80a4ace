//! The task itself: from arguments to a table.

use std::{error::Error, fs};

use tokio::runtime::Runtime;

use super::{
    catch_up, idle, lag,
    options::{Options, Order},
    table::Table,
};
use crate::{Failure, Result};

/// What the parts of a run return.
pub(super) type Outcome<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Measures and prints a table. It does not fail when a target is missed: that may be the machine.
///
/// # Errors
///
/// When something could not be measured.
pub fn bench(arguments: &[String]) -> Result {
    let done = match Order::parse(arguments)? {
        Order::Measure(options) => measure(&options),
        Order::Commit { url, events } => run(lag::commit_and_tell(&url, events)),
    };
    done.map_err(|error| Failure::new(with_causes(&*error)))
}

fn measure(options: &Options) -> Outcome {
    eprintln!("{options}");
    let load = load();
    let mut table = Table::default();
    for kind in options.kinds.iter().copied() {
        run(catch_up::measure(kind, options, &mut table))?;
        run(lag::measure(kind, &mut table))?;
        run(idle::measure(kind, &mut table))?;
    }
    println!("\n{table}\n\nload of the machine before {load}, after {}", self::load());
    println!("the same again:\n\n    {options}");
    Ok(())
}

/// Each on a runtime of its own, which takes with it whatever still runs.
fn run(work: impl Future<Output = Outcome>) -> Outcome {
    Runtime::new()?.block_on(work)
}

/// How many tasks wanted to run, on average of the last minute.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// The one in the middle.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
