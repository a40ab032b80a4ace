//! Finding the programs of PostgreSQL.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::URL_VARIABLE;
use crate::{Failure, Result};

const NEEDED: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// The oldest version that the engine supports.
const OLDEST: Version = Version(14, 1);

/// Where packages put the programs. A star stands for any name in the directory, which are versions.
const USUAL_PLACES: [&str; 6] = [
    // Debian, Ubuntu
    "/usr/lib/postgresql/*/bin",
    // Fedora and its relatives, from PostgreSQL's own packages; those of the distribution are in the PATH
    "/usr/pgsql-*/bin",
    // Homebrew on Apple silicon, Intel, and Linux
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home*/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// A directory that has all programs of one version.
#[derive(Debug, Clone)]
pub(super) struct Programs(PathBuf);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Programs {
    pub(super) fn newest() -> Result<Self> {
        Self::newest_of(places())
    }

    pub(super) fn newest_of(places: impl IntoIterator<Item = PathBuf>) -> Result<Self> {
        let complete =
            places.into_iter().filter(|place| NEEDED.iter().all(|name| place.join(name).is_file()));
        let versions = complete.filter_map(|place| Some((Version::of(&place.join("postgres"))?, place)));
        let newest = versions.filter(|(version, _)| *version >= OLDEST).max();
        newest.map(|(_, place)| Self(place)).ok_or_else(|| Failure::new(missing()))
    }

    /// Those in a directory that was found before.
    pub(super) fn at(place: impl Into<PathBuf>) -> Self {
        Self(place.into())
    }

    pub(super) fn place(&self) -> &Path {
        &self.0
    }
}

impl Version {
    /// From `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` and the like.
    fn of(program: &Path) -> Option<Self> {
        let output = Command::new(program).arg("--version").output().ok()?;
        Self::parse(&String::from_utf8_lossy(&output.stdout))
    }

    fn parse(text: &str) -> Option<Self> {
        let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let mut numbers = version.split(|c: char| !c.is_ascii_digit());
        let mut number = || numbers.next()?.parse().ok();
        // What has no second number, such as `19beta1`, is newer than any release before.
        Some(Self(number()?, if version.contains('.') { number()? } else { 0 }))
    }
}

/// The client that a named server needs: any will do.
pub(super) fn psql() -> Option<PathBuf> {
    places().into_iter().map(|place| place.join("psql")).find(|psql| psql.is_file())
}

fn places() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = env::split_paths(&path).collect();
    // Links lead to where all the programs are.
    let linked = places
        .iter()
        .filter_map(|place| Some(place.join("postgres").canonicalize().ok()?.parent()?.to_owned()));
    let linked: Vec<PathBuf> = linked.collect();
    places.extend(linked);
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        places.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    places.extend(USUAL_PLACES.iter().flat_map(|pattern| matching(pattern)));
    places
}

/// The directories that a pattern with stars stands for.
fn matching(pattern: &str) -> Vec<PathBuf> {
    pattern.split('/').skip(1).fold(vec![PathBuf::from("/")], |found, part| match part.split_once('*') {
        None => found.into_iter().map(|directory| directory.join(part)).collect(),
        Some((start, end)) => {
            let entries =
                found.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
            let names = entries.map(|entry| (entry.path(), entry.file_name().to_string_lossy().into_owned()));
            names
                .filter(|(_, name)| name.starts_with(start) && name.ends_with(end))
                .map(|(path, _)| path)
                .collect()
        }
    })
}

fn missing() -> String {
    let Version(major, minor) = OLDEST;
    format!(
        "no PostgreSQL server was found, of version {major}.{minor} or newer with `initdb`, `pg_ctl` and `psql`; \
         install one\n\n    \
         apt-get install postgresql          Debian, Ubuntu\n    \
         dnf install postgresql-server       Fedora\n    \
         brew install postgresql             macOS\n\n\
         or name one whose role may create databases\n\n    \
         export {URL_VARIABLE}=postgres://user:password@host/database"
    )
}

#[cfg(test)]
mod tests {
    use super::{Programs, Version, matching};

    #[test]
    fn versions_are_read_and_ordered() {
        let version = Version::parse("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)");
        assert_eq!(version, Some(Version(15, 18)));
        assert_eq!(Version::parse("postgres (PostgreSQL) 19beta1"), Some(Version(19, 0)));
        assert_eq!(Version::parse("no version"), None);
        assert!(Version::parse("9.6.24") < Version::parse("14.1"));
    }

    #[test]
    fn without_programs_it_says_what_to_install_and_how_to_name_a_server() {
        let failure = Programs::newest_of(["/nonexistent".into(), env!("CARGO_MANIFEST_DIR").into()])
            .expect_err("there are none");
        let text = failure.to_string();
        assert!(text.contains("apt-get install postgresql"), "{text}");
        assert!(text.contains("EVERCORE_TEST_POSTGRES_URL=postgres://"), "{text}");
    }

    #[test]
    fn a_star_stands_for_any_name() {
        let pattern = concat!(env!("CARGO_MANIFEST_DIR"), "/src/p*s/mod.rs");
        assert_eq!(
            matching(pattern),
            [concat!(env!("CARGO_MANIFEST_DIR"), "/src/postgres/mod.rs")]
                .map(Into::<std::path::PathBuf>::into)
        );
    }
}
