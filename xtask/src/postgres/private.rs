//! A server for tests that hurt it.

use std::{
    fs,
    ops::Deref,
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Options, Server, options::Primary, supervisor::run, throwaway::Throwaway};
use crate::{Failure, Result};

/// A throwaway server that nobody else uses. It is gone soon after its last handle and database.
#[derive(Debug)]
pub struct PrivateServer {
    server: Server,
    throwaway: Arc<Throwaway>,
}

impl PrivateServer {
    pub(super) fn new(throwaway: Throwaway) -> Self {
        let throwaway = Arc::new(throwaway);
        Self { server: Server::throwaway(Arc::clone(&throwaway)), throwaway }
    }

    /// A server that follows this one by streaming replication and can be read.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn standby(&self, options: &Options) -> Result<Self> {
        let Throwaway { password, .. } = &*self.throwaway;
        let primary = Primary { connection: self.throwaway.connection(), password: password.clone() };
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

    /// Ends the server's main process with `kill -9`, as the kernel does when memory runs out.
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
        // Such numbers stand for many processes.
        if process <= 1 {
            return Err(Failure::new(format!("{process} is not a process of the server")));
        }
        kill_9(&process.to_string())
    }

    /// Where the server's files are.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.throwaway.nest.join("data")
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Result {
        let throwaway = &self.throwaway;
        let mut command = throwaway.account.command(&throwaway.program("pg_ctl"), &throwaway.nest);
        run(command.args(arguments).args(["--pgdata=data", "--log=log"])).map(drop)
    }
}

impl Deref for PrivateServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn kill_9(process: &str) -> Result {
    // The shell has the command, wherever the program of that name may be.
    run(Command::new("sh").args(["-c", "kill -9 \"$1\"", "sh", process])).map(drop)
}
