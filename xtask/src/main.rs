//! `cargo xtask TASK`: see the help text below.

use std::{env, process::ExitCode};

use xtask::{
    Failure, Result,
    ci::ci,
    compile::compile,
    db,
    run::step,
    test::{TestCount, test},
    tidy,
};

const HELP: &str = "\
Usage: cargo xtask TASK

  test   run everything there is to run: tests, doctests, examples
  ci     what CI runs: format, tidy, lints, docs, each feature alone, then `test`
  tidy   check the rules of this repository that no compiler knows
  db     the throwaway PostgreSQL server that tests use, for looking at it:
         `db start` keeps it running, `db url` says where it is, `db stop` removes it
  torture postgres [--seconds N] [--seed S] [--writers N] [--readers N]
         writers that commit late, roll back and come in bulk, beside readers: fails when a reader loses an event,
         gets one twice or out of order. With --without-horizon it has to fail: nobody waits for late commits.
         With --lag it measures instead how long after a commit a reader has its events, and what doorbells cost
  bench subscriptions [--events N] [--rounds N] [--engine sqlite|postgres]
         what subscriptions cost: catching up with a long log, beside a loop written by hand; a filter that lets few
         events through; the time from a commit to its handler; a hundred that have nothing to do
  bench compile [--rounds N]
         how long 50 aggregates with 500 events take to compile, beside the same types without this library
  help   print this text

`test`, `ci`, `db`, `torture` and `bench` use the server that EVERCORE_TEST_POSTGRES_URL names, else one that they start
with the newest PostgreSQL of this machine; on Debian and Ubuntu, the first three get it installed for root.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run_task(&arguments) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(count)) => {
            println!("{count}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run_task(arguments: &[String]) -> Result<Option<TestCount>> {
    match arguments.first().map(String::as_str) {
        Some("torture") => return torture(arguments).map(|()| None),
        Some("bench") => return bench(arguments).map(|()| None),
        _ => {}
    }
    match arguments.join(" ").as_str() {
        "" | "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(None)
        }
        "test" => test().map(Some),
        "ci" => ci().map(Some),
        "tidy" => step("tidy", tidy::check).map(|()| None),
        "db start" => db::start().map(|()| None),
        "db stop" => db::stop().map(|()| None),
        "db url" => db::url().map(|()| None),
        unknown => Err(Failure::new(format!("there is no task `{unknown}`\n\n{HELP}"))),
    }
}

/// Is in a build of its own, which has the crates that it needs.
fn torture(arguments: &[String]) -> Result {
    #[cfg(feature = "torture")]
    return xtask::torture::torture(&arguments[1..]);
    #[cfg(not(feature = "torture"))]
    return xtask::run::again("torture", arguments);
}

/// The same, but for what is measured from outside.
fn bench(arguments: &[String]) -> Result {
    if let Some("compile") = arguments.get(1).map(String::as_str) {
        return compile(&arguments[2..]);
    }
    #[cfg(feature = "bench")]
    return xtask::bench::bench(&arguments[1..]);
    #[cfg(not(feature = "bench"))]
    return xtask::run::again("bench", arguments);
}
