//! `cargo xtask ci`: all that has to hold before a change is merged, quick checks first.

use std::fs;

use crate::{
    Failure, Result,
    manifest::Manifest,
    run::{Cargo, root, step},
    test::{TestCount, test},
    tidy,
};

/// The crates that others depend on.
const LIBRARIES: [&str; 5] =
    ["evercore", "evercore-derive", "evercore-memory", "evercore-sqlite", "evercore-postgres"];

/// Runs all checks and all tests.
///
/// # Errors
///
/// When the first of them fails.
pub fn ci() -> Result<TestCount> {
    step("components", components)?;
    step("format", || Cargo::new("fmt --all --check").run())?;
    step("tidy", tidy::check)?;
    step("lints", || Cargo::new("clippy --workspace --all-targets --all-features -- -D warnings").run())?;
    step("docs", || {
        let doc = Cargo::new("doc --workspace --all-features --no-deps");
        doc.with_variable("RUSTDOCFLAGS", "-D warnings").run()
    })?;
    step("each feature alone", each_feature_alone)?;
    test()
}

fn components() -> Result {
    for (component, version) in [("rustfmt", "fmt --version"), ("clippy", "clippy --version")] {
        if !Cargo::new(version).succeeds() {
            return Err(Failure::new(format!(
                "{component} is missing; add it with\n\n    rustup component add {component}"
            )));
        }
    }
    Ok(())
}

/// Checks each library without features and with each of its features. Clippy, because warnings count as
/// errors for the crates of the workspace alone, and nothing else has to be built again.
fn each_feature_alone() -> Result {
    for library in LIBRARIES {
        let path = root().join(library).join("Cargo.toml");
        let text = fs::read_to_string(&path).map_err(Failure::at(&path))?;
        let features = Manifest::new(&text).features().into_iter().filter(|feature| *feature != "default");
        for feature in [None].into_iter().chain(features.map(Some)) {
            let clippy = Cargo::new("clippy --lib --no-default-features -- -D warnings")
                .with_argument(format!("--package={library}"))
                .with_argument(format!("--features={}", feature.unwrap_or_default()));
            eprintln!("{clippy}");
            clippy.run()?;
        }
    }
    Ok(())
}
