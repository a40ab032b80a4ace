//! The file of shapes.

use std::{env, fmt::Write as _, fs, io, path::Path};

use super::compare::{Finding, compare};
use crate::{Description, Registry};

/// Set to anything but `0`, it has the file written anew.
const UPDATE: &str = "EVERCORE_UPDATE";

/// Compares the events of a registry, or of one aggregate, with a file that is committed with the code, and fails
/// when events that were stored by an earlier version can no longer be read.
///
/// The path is relative to where the test runs: the directory of its package. Where there is no such file it is written,
/// unless the environment variable `CI` says that nobody would commit it. A change that old events survive is
/// reported on standard error, which `cargo test` shows for tests that fail and with `--nocapture`, and fails where `CI` is
/// set: later versions are compared with what was released. `EVERCORE_UPDATE=1 cargo test` writes it into the file. So it does with a change that
/// they do not survive, for events that were never stored, or whose old form is read all the same in a way that
/// cannot be seen from the declaration.
///
/// What is compared: stored names and aliases of aggregates, events and fields; older forms and ignored events; which
/// fields may be missing; types **as they are written**; serde's attributes. Every form that an event has had since
/// the file was begun counts, not only the last one. Not seen: what a type in a field consists of, what an alias of a
/// type stands for, and what functions do, those of `upcasts(…)` and of `serde(with = …)`. A type that is a part of events
/// needs the same care, and a test of its own with what was stored.
///
/// The file also says `since` which version of the package there is an event (`CARGO_PKG_VERSION`).
///
/// # Panics
///
/// When old events can no longer be read: then the message says which, why, and what to do. When the file is
/// missing or behind on CI, or cannot be read or written.
#[track_caller]
pub fn assert_shapes<R: Registry>(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let update = env::var(UPDATE).is_ok_and(|value| !value.is_empty() && value != "0");
    let is_ci = env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0");
    let version = env::var("CARGO_PKG_VERSION").ok();
    match check(path, Description::of::<R>(), version.as_deref(), update, is_ci) {
        Ok(Some(notice)) => eprintln!("{notice}"),
        Ok(None) => {}
        Err(failure) => panic!("{failure}"),
    }
}

/// What to say about it, or why it fails.
fn check(
    path: &Path,
    mut current: Description,
    version: Option<&str>,
    update: bool,
    is_ci: bool,
) -> Result<Option<String>, String> {
    let file = path.display();
    let Some(locked) = read(path)? else {
        if is_ci && !update {
            return Err(format!(
                "{file} is missing: it says what stored events look like. Run this test where you write code, and \
                 commit the file that it makes."
            ));
        }
        current.begin(version);
        write(path, &current)?;
        return Ok(Some(format!(
            "{file} is new: it says what stored events look like. Commit it with the code."
        )));
    };
    let findings = compare(&locked, &current);
    current.follow(&locked, version);
    let is_behind = current != locked;
    if update {
        if is_behind {
            write(path, &current)?;
        }
        return Ok(is_behind.then(|| report(&format!("{file} was brought up to date:"), &findings)));
    }
    if findings.iter().any(Finding::is_breaking) {
        let title = format!("stored events can no longer be read (compared with {file}):");
        let accept = "Where such events were never stored, or are read all the same, accept it";
        return Err(format!("{}\n{accept} with {UPDATE}=1.\n", report(&title, &findings)));
    }
    let behind = || {
        let title =
            format!("{file} is behind, and old events are still read. {UPDATE}=1 brings it up to date:");
        report(&title, &findings)
    };
    match (is_behind, is_ci) {
        (false, _) => Ok(None),
        (true, false) => Ok(Some(behind())),
        // What is released has to be written down: it is what later versions are compared with.
        (true, true) => Err(behind()),
    }
}

fn report(title: &str, findings: &[Finding]) -> String {
    let mut report = format!("{title}\n\n");
    // Those that matter come first.
    let (breaking, others): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.is_breaking());
    for finding in breaking.into_iter().chain(others) {
        let _ = writeln!(report, "{finding}");
    }
    report
}

fn read(path: &Path) -> Result<Option<Description>, String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!("{} cannot be read: {error}. Restore it from version control.", path.display())
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    serde_json::from_str(&text).map(Some).map_err(|error| failed(&error))
}

/// Writes it beside and renames it: another test that reads it never sees a part.
fn write(path: &Path, description: &Description) -> Result<(), String> {
    let text = serde_json::to_string_pretty(description).map_err(|error| error.to_string())? + "\n";
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests;
