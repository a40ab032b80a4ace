//! A server for tests that hurt it.

use std::{
    fs,
    ops::Deref,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use super::{Options, Server, options::Primary, supervisor::run, throwaway::Throwaway};
use crate::{Failure, Result};

/// A throwaway server that nobody else uses. It is gone soon after its last handle and database.
#[derive(Debug)]
pub struct PrivateServer(Server);

impl PrivateServer {
    pub(super) fn new(server: Server) -> Self {
        Self(server)
    }

    /// A server that follows this one by streaming replication and can be read.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn standby(&self, options: &Options) -> Result<Self> {
        let Some(Throwaway { password, .. }) = self.throwaway() else {
            return Err(Failure::new("only a throwaway server can have a standby"));
        };
        let primary = Primary { connection: self.connection.clone(), password: password.clone() };
        Server::private(&options.clone().with_primary(primary))
    }

    /// Shuts the server down, and its connections with it. [`restart`](Self::restart) starts it again.
    ///
    /// # Errors
    ///
    /// When it does not end, or does not run.
    pub fn shut_down(&self) -> Result {
        self.pg_ctl(&["stop", "--mode=fast"])
    }

    /// Starts the server again, at the same address; first shuts it down, if it runs.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn restart(&self) -> Result {
        // After `kill -9`, processes of the old server may hold on to its memory for a moment.
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.pg_ctl(&["restart", "--mode=fast"]) {
                Err(_) if Instant::now() < deadline => std::thread::park_timeout(Duration::from_millis(50)),
                outcome => return outcome,
            }
        }
    }

    /// Ends the server's main process with `kill -9`, as a power failure or the kernel's memory killer would.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn kill_9(&self) -> Result {
        let path = self.data_directory().join("postmaster.pid");
        let text = fs::read_to_string(&path).map_err(Failure::at(&path))?;
        kill_9(text.lines().next().unwrap_or_default())
    }

    /// Ends one process of the server with `kill -9`. Its number is what `pg_backend_pid()` says.
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn kill_backend_9(&self, process: i32) -> Result {
        kill_9(&process.to_string())
    }

    /// Where the server's files are.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.throwaway().map(|throwaway| throwaway.nest.join("data")).unwrap_or_default()
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Result {
        let Some(throwaway) = self.throwaway() else { return Ok(()) };
        let mut command = throwaway.account.command(&throwaway.program("pg_ctl"), &throwaway.nest);
        run(command.args(arguments).args(["--pgdata=data", "--log=log"])).map(drop)
    }

    fn throwaway(&self) -> Option<&Throwaway> {
        self.0.throwaway.as_deref()
    }
}

impl Deref for PrivateServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

fn kill_9(process: &str) -> Result {
    // The shell has the command, wherever the program of that name may be.
    run(Command::new("sh").args(["-c", "kill -9 \"$1\"", "sh", process])).map(drop)
}
