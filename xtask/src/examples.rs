//! Running the examples as a reader would, each in a directory of its own.

use std::{fs, path::Path};

use crate::{
    Failure, Result,
    postgres::Server,
    run::{Cargo, Stream, root},
};

/// Programs that measure. They take minutes, mean nothing in a debug build, and are only built.
const MEASUREMENTS: &[&str] = &["snapshot_interval"];

/// The program that is run twice on each engine: it has to find what it stored.
const QUICKSTART: &str = "quickstart";

/// Programs that open the store that this variable names. Without it they are in SQLite.
const ANYWHERE: [&str; 2] = ["ephemeral_cache", "read_model"];
const STORE_VARIABLE: &str = "EVERCORE_DSN";

/// Runs every file of `examples/`, and those that can on PostgreSQL as well.
pub(crate) fn run(server: &Server) -> Result {
    Cargo::new("build --quiet --workspace --all-features --examples").run()?;
    let names = names(&root().join("examples"))?;
    for name in names.iter().filter(|name| !MEASUREMENTS.contains(&name.as_str()) && *name != QUICKSTART) {
        Example::new(name)?.run()?;
    }
    for name in ANYWHERE {
        let database = server.create_database()?;
        Example::new(name)?.with_variable(STORE_VARIABLE, &database.url()).run()?;
    }
    Example::new(QUICKSTART)?.remembers()?;
    let database = server.create_database()?;
    Example::new(QUICKSTART)?.with_argument(&database.url()).remembers()
}

struct Example {
    cargo: Cargo,
}

impl Example {
    /// Prepares an empty directory for it below `target/`.
    fn new(name: &str) -> Result<Self> {
        let directory = root().join("target").join("examples").join(name);
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(Failure::at(&directory))?;
        }
        fs::create_dir_all(&directory).map_err(Failure::at(&directory))?;
        let cargo = Cargo::new("run --quiet --all-features --example").with_argument(name);
        Ok(Self { cargo: cargo.in_directory(directory) })
    }

    /// What it is told on its command line.
    fn with_argument(self, argument: &str) -> Self {
        Self { cargo: self.cargo.with_argument("--").with_argument(argument) }
    }

    /// What it finds in its environment.
    fn with_variable(self, name: &'static str, value: &str) -> Self {
        Self { cargo: self.cargo.with_variable(name, value) }
    }

    /// Runs it and returns what it printed.
    fn run(&self) -> Result<String> {
        eprintln!("{}", self.cargo);
        let output = self.cargo.run_reading(Stream::Stdout)?;
        if output.succeeded { Ok(output.text) } else { Err(self.cargo.failure(&"the example failed")) }
    }

    /// Runs it twice: the second run has to find what the first one stored.
    fn remembers(&self) -> Result {
        let (first, second) = (self.run()?, self.run()?);
        quickstart_remembers(&first, &second).map_err(|reason| self.cargo.failure(&reason))
    }
}

fn names(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).map_err(Failure::at(directory))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.map_err(Failure::at(directory))?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// The first run creates a user; the second has to find it and to replay what the first one stored.
fn quickstart_remembers(first: &str, second: &str) -> Result<(), &'static str> {
    match (replayed(first).unwrap_or(0), replayed(second)) {
        (_, None) => Err("the second run does not say how many events it replayed"),
        (before, Some(after)) if after <= before => {
            Err("the second run did not find what the first one stored")
        }
        _ => Ok(()),
    }
}

/// The number in the line that says how many events were replayed.
fn replayed(output: &str) -> Option<u64> {
    let line = output.lines().find(|line| line.contains("replayed"))?;
    line.split(|letter: char| !letter.is_ascii_digit()).find_map(|number| number.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::quickstart_remembers;

    #[test]
    fn a_second_run_that_replays_what_the_first_stored() {
        assert_eq!(quickstart_remembers("created a user\n", "found it, replayed 2 events\n"), Ok(()));
        assert_eq!(quickstart_remembers("replayed 0 events\n", "replayed 2 events\n"), Ok(()));
    }

    #[test]
    fn a_second_run_that_starts_anew() {
        assert!(quickstart_remembers("replayed 0 events\n", "replayed 0 events\n").is_err());
        assert!(quickstart_remembers("created a user\n", "created a user\n").is_err());
        assert!(quickstart_remembers("", "").is_err());
    }
}
