//! `cargo xtask TASK`: see the help text below.

use std::{env, process::ExitCode};

use xtask::{
    Failure, Result,
    ci::ci,
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
  help   print this text

`test`, `ci` and `db` use the server that EVERCORE_TEST_POSTGRES_URL names, else one that they start with
the newest PostgreSQL of this machine; on Debian and Ubuntu, root gets it installed.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(arguments.join(" ").as_str()) {
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

fn run(task: &str) -> Result<Option<TestCount>> {
    match task {
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
