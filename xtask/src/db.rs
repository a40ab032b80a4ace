//! `cargo xtask db`: the throwaway PostgreSQL server, for people.

use crate::{
    Failure, Result,
    postgres::{Server, install_if_missing},
};

/// Starts the server that tests use and keeps it running, without anybody who uses it.
///
/// # Errors
///
/// When there is none and none can be started.
pub fn start() -> Result {
    install_if_missing()?;
    let server = Server::for_tests()?;
    server.keep()?;
    println!("{}", server.url());
    Ok(())
}

/// Stops it, even while tests use it. A server that is named in the environment is left alone.
///
/// # Errors
///
/// When its files are gone.
pub fn stop() -> Result {
    Server::running()?.map_or(Ok(()), Server::stop)
}

/// Prints where it is.
///
/// # Errors
///
/// When none runs.
pub fn url() -> Result {
    let Some(server) = Server::running()? else {
        return Err(Failure::new("no server runs; start one with\n\n    cargo xtask db start"));
    };
    println!("{}", server.url());
    Ok(())
}
