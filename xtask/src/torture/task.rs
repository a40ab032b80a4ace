//! The task itself: from arguments to a table.

use std::error::Error;

use super::{options::Options, run, saturation};
use crate::{Failure, Result};

/// What the parts of a run return: what goes wrong besides losing events ends the run.
pub(super) type Outcome<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Runs, prints a table, and judges.
///
/// # Errors
///
/// When a reader lost an event, got one twice or out of order, and when the run could not be made.
pub fn torture(arguments: &[String]) -> Result {
    let options = Options::parse(arguments)?;
    eprintln!("{options}");
    let judged = match options.lag {
        true => saturation::measure(&options).map(|figures| (figures.to_string(), true)),
        false => run::run(&options).map(|report| (report.to_string(), report.is_clean())),
    };
    let (table, is_clean) = judged.map_err(|error| Failure::new(with_causes(&*error)))?;
    println!("\n{table}\n\nthe same again:\n\n    {options}");
    match is_clean {
        true => Ok(()),
        false => Err(Failure::new("the readers did not get what was written")),
    }
}

fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
