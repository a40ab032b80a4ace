//! A PostgreSQL server for tests, which comes and goes by itself.
//!
//! [`Server::for_tests`] gives the server that `EVERCORE_TEST_POSTGRES_URL` names. Where that is not set, it
//! gives a throwaway server, made with the newest programs found on this machine: one for each target
//! directory, shared by all processes that run tests, started by the first and gone with the last. On it, each test
//! has a [`Database`] of its own, which is dropped when the test has passed. Tests that hurt a server have one for
//! themselves, a [`PrivateServer`].
//!
//! ```no_run
//! let database = xtask::postgres::Server::for_tests()?.create_database()?;
//! println!("connect to {}", database.url());
//! # Ok::<(), xtask::Failure>(())
//! ```
//!
//! # How a throwaway server ends
//!
//! A shell script (`supervisor.sh`) starts the server and waits at a named pipe. Whoever uses the server holds the
//! pipe open. The kernel closes it for a process that was killed, too. So when the script reads the end of the pipe,
//! nobody is left, and it stops the server and removes all its files. It waits some seconds before that,
//! because test runners start the next process after the last one ended.
//!
//! The script's log is locked as long as the script lives. Who starts the next server removes directories whose
//! log is not locked: they are what a machine left that lost power.
//!
//! # Where it is
//!
//! Below the target directory, or in the directory for temporary files where the target directory would not do:
//! the address of a socket has to be short, and the server refuses to run as root, so that it has to be another account's.
//! Its superuser `evercore` has a random password on TCP and none on the socket, which nobody else can reach.

mod account;
mod database;
mod home;
mod install;
mod options;
mod private;
mod programs;
mod supervisor;
mod throwaway;
mod url;

#[cfg(test)]
mod tests;

use std::{env, path::PathBuf, sync::Arc};

use self::{account::Account, home::Home, programs::Programs, throwaway::Throwaway, url::Url};
pub use self::{database::Database, install::install_if_missing, options::Options, private::PrivateServer};
use crate::{Failure, Result};

/// The environment variable that names a server, as a URL. Its role has to be one that may create databases.
pub const URL_VARIABLE: &str = "EVERCORE_TEST_POSTGRES_URL";

/// A server that tests may use. A throwaway server lives until its last handle is dropped, and some seconds more.
#[derive(Debug, Clone)]
pub struct Server {
    url: Url,
    psql: PathBuf,
    /// What `psql` has to be told to connect as the one who creates databases.
    connection: String,
    throwaway: Option<Arc<Throwaway>>,
}

impl Server {
    /// The server that is named in the environment, else the one that runs already for this target directory, else
    /// a new one. Blocks until it can be used. Never installs anything.
    ///
    /// # Errors
    ///
    /// When there is none and none can be started; the text says what to install or to set.
    pub fn for_tests() -> Result<Self> {
        if let Some(url) = named_url() {
            return Self::named(&url);
        }
        let account = Account::for_servers()?;
        Self::shared(&Home::new(&account)?, &account, &Options::new())
    }

    /// The server that is named in the environment, else a new one that waits for its disk, as one does that nobody
    /// has set up.
    ///
    /// # Errors
    ///
    /// When there is none and none can be started.
    pub fn for_measurements() -> Result<Self> {
        match named_url() {
            Some(url) => Self::named(&url),
            None => Ok((*Self::private(&Options::new().durable())?).clone()),
        }
    }

    /// A server for this caller alone, which can be stopped, restarted and killed. It is always a throwaway
    /// server, even when another one is named in the environment.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn private(options: &Options) -> Result<PrivateServer> {
        let account = Account::for_servers()?;
        let home = Home::new(&account)?;
        let nest = home.nest(&home.lock()?)?;
        let throwaway = supervisor::start(nest, &account, Programs::newest()?, options, 0)?;
        Ok(PrivateServer::new(throwaway))
    }

    /// The server that runs already: the named one, or the throwaway server of this target directory.
    ///
    /// # Errors
    ///
    /// When its files cannot be read.
    pub fn running() -> Result<Option<Self>> {
        if let Some(url) = named_url() {
            return Self::named(&url).map(Some);
        }
        let account = Account::for_servers()?;
        let home = Home::new(&account)?;
        let found = home.join_running(&home.lock()?, &account)?;
        Ok(found.map(|running| Self::throwaway(running.into())))
    }

    /// An empty database that nobody else uses.
    ///
    /// # Errors
    ///
    /// When it cannot be created.
    pub fn create_database(&self) -> Result<Database> {
        Database::create(self)
    }

    /// Where the server is, with a database that is always there.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// Keeps a throwaway server running when nobody uses it, until [`stop`](Self::stop). A named one runs anyway.
    ///
    /// # Errors
    ///
    /// When its files are gone.
    pub fn keep(&self) -> Result {
        self.throwaway.as_ref().map_or(Ok(()), |throwaway| throwaway.keep())
    }

    /// Stops a throwaway server, whoever uses it, and returns when it is gone. Does nothing to a named one.
    ///
    /// # Errors
    ///
    /// When its files are gone.
    pub fn stop(self) -> Result {
        self.throwaway.map_or(Ok(()), |throwaway| throwaway.stop())
    }

    /// Like dropping the last handle, but a throwaway server that nobody uses ends at once.
    ///
    /// # Errors
    ///
    /// When its files are gone.
    pub fn leave(self) -> Result {
        match self.throwaway.map(Arc::try_unwrap) {
            Some(Ok(throwaway)) => throwaway.leave(),
            _ => Ok(()),
        }
    }

    fn named(url: &str) -> Result<Self> {
        let psql = programs::psql().ok_or_else(|| {
            Failure::new(format!(
                "creating a database on the server that {URL_VARIABLE} names takes `psql`, which is not there; \
                 install it (Debian and Ubuntu: apt-get install postgresql-client)"
            ))
        })?;
        Ok(Self { url: Url::parse(url)?, psql, connection: url.to_owned(), throwaway: None })
    }

    fn shared(home: &Home, account: &Account, options: &Options) -> Result<Self> {
        let lock = home.lock()?;
        if let Some(running) = home.join_running(&lock, account)? {
            return Ok(Self::throwaway(running.into()));
        }
        let throwaway =
            supervisor::start(home.nest(&lock)?, account, Programs::newest()?, options, options.linger())?;
        throwaway.publish()?;
        Ok(Self::throwaway(throwaway.into()))
    }

    fn throwaway(throwaway: Arc<Throwaway>) -> Self {
        Self {
            url: throwaway.url(),
            psql: throwaway.program("psql"),
            connection: throwaway.connection(),
            throwaway: Some(throwaway),
        }
    }
}

fn named_url() -> Option<String> {
    env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty())
}
