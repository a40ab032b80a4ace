//! `cargo xtask test`: runs everything that can be run.
//!
//! Calls of cargo name the whole workspace with all features, so that nothing is built twice; but what the library says
//! about features that are off is seen only without them.

pub use crate::count::TestCount;
use crate::{
    Result, examples,
    postgres::{Server, install_if_missing, install_pgbouncer_if_missing},
    run::{Cargo, Output, Stream, step},
};

/// Runs the tests and doctests of all crates, and every example.
///
/// # Errors
///
/// When one of them fails.
pub fn test() -> Result<TestCount> {
    let server = step("server", server)?;
    let count = with(&server);
    // Whatever came of the tests: the last one to use the server ends it.
    let left = server.leave();
    count.and_then(|count| left.map(|()| count))
}

fn with(server: &Server) -> Result<TestCount> {
    let tests = step("tests", tests)?;
    let doctests = step("doctests", doctests)?;
    let featureless = step("tests without features", featureless)?;
    step("examples", || examples::run(server))?;
    Ok(tests + doctests + featureless)
}

/// The PostgreSQL server that all tests share, so that it is there before the first and until after the last.
fn server() -> Result<Server> {
    install_if_missing()?;
    install_pgbouncer_if_missing();
    Server::for_tests()
}

/// With cargo-nextest where it is installed, else with what every toolchain has.
fn tests() -> Result<TestCount> {
    if Cargo::new("nextest --version").succeeds() {
        let nextest = Cargo::new("nextest run --workspace --all-features --no-fail-fast");
        let output = nextest.run_reading(Stream::Stderr)?;
        return judge(&nextest, TestCount::of_nextest(&output.text), &output);
    }
    cargo_test(&Cargo::new("test --workspace --all-features --no-fail-fast --lib --bins --tests --examples"))
}

fn doctests() -> Result<TestCount> {
    cargo_test(&Cargo::new("test --workspace --all-features --no-fail-fast --doc"))
}

fn featureless() -> Result<TestCount> {
    cargo_test(&Cargo::new("test --package evercore --lib --no-default-features"))
}

fn cargo_test(cargo: &Cargo) -> Result<TestCount> {
    let output = cargo.run_reading(Stream::Stdout)?;
    judge(cargo, Some(TestCount::of_cargo_test(&output.text)), &output)
}

fn judge(cargo: &Cargo, count: Option<TestCount>, output: &Output) -> Result<TestCount> {
    match count {
        Some(count) if output.succeeded && count.failed == 0 => Ok(count),
        Some(count) => Err(cargo.failure(&count)),
        None => Err(cargo.failure(&"no test was run")),
    }
}
