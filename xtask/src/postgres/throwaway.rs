//! A throwaway server that runs, seen by one who uses it.

use std::{
    fmt,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use super::{account::Account, home, programs::Programs, supervisor::run, url::Url};
use crate::{Failure, Result};

/// The server ends some time after the last of these was dropped, in whatever process.
pub(super) struct Throwaway {
    pub(super) nest: PathBuf,
    pub(super) users: Users,
    pub(super) port: u16,
    pub(super) password: String,
    pub(super) programs: Programs,
    pub(super) account: Account,
}

/// The pipe that every user of a server holds open.
#[derive(Debug)]
pub(super) struct Users(File);

impl Throwaway {
    /// Becomes one more user of a server, if it is one for all and not about to end.
    pub(super) fn join(nest: &Path, account: &Account) -> Result<Option<Self>> {
        let users = match Users::join(nest) {
            Ok(users) => users,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::at(nest)(error)),
        };
        // Only now: from here on the supervisor sees this user, or this user sees that it has withdrawn the file.
        let Ok(published) = fs::read_to_string(published(nest)) else { return Ok(None) };
        let mut lines = published.lines();
        let (Some(port), Some(password), Some(programs)) = (lines.next(), lines.next(), lines.next()) else {
            return Ok(None);
        };
        Ok(port.parse().ok().map(|port| Self {
            nest: nest.to_owned(),
            users,
            port,
            password: password.to_owned(),
            programs: Programs::at(programs),
            account: *account,
        }))
    }

    /// Lets others join.
    pub(super) fn publish(&self) -> Result {
        let path = self.nest.join("server.new");
        let text = format!("{}\n{}\n{}\n", self.port, self.password, self.programs.place().display());
        fs::write(&path, text).map_err(Failure::at(&path))?;
        fs::rename(&path, published(&self.nest)).map_err(Failure::at(&path))
    }

    pub(super) fn url(&self) -> Url {
        let Self { port, password, .. } = self;
        Url::tcp(&format!("evercore:{password}"), &format!("127.0.0.1:{port}"), "postgres")
    }

    /// Over the socket, as `psql` wants to be told.
    pub(super) fn connection(&self) -> String {
        let host = self.nest.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
        format!("host='{host}' port={} user=evercore dbname=postgres", self.port)
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.place().join(name)
    }

    pub(super) fn keep(&self) -> Result {
        self.users.say("keep")
    }

    pub(super) fn stop(&self) -> Result {
        let log = self.open_log()?;
        self.users.say("stop")?;
        log.lock_shared().map_err(Failure::at(&self.nest))
    }

    pub(super) fn leave(self) -> Result {
        self.users.say("leave")
    }

    /// Locked by the supervisor: who gets a lock knows that all is gone.
    pub(super) fn open_log(&self) -> Result<File> {
        let path = home::log(&self.nest);
        File::open(&path).map_err(Failure::at(&path))
    }
}

/// Without the password.
impl fmt::Debug for Throwaway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throwaway")
            .field("url", &self.url())
            .field("nest", &self.nest)
            .finish_non_exhaustive()
    }
}

impl Users {
    /// Makes the pipe, with this process as its first user.
    pub(super) fn create(nest: &Path, account: &Account) -> Result<Self> {
        let path = nest.join("users");
        run(Command::new("mkfifo").args(["-m", "600"]).arg(&path))?;
        account.own(&path)?;
        Self::join(nest).map_err(Failure::at(nest))
    }

    fn join(nest: &Path) -> std::io::Result<Self> {
        // For reading, too, so that it does not wait for a reader.
        let mut pipe = File::options().read(true).write(true).open(nest.join("users"))?;
        pipe.write_all(b"user\n")?;
        Ok(Self(pipe))
    }

    /// The end for the supervisor. Waits for a user, if there is none.
    pub(super) fn reader(nest: &Path) -> Result<File> {
        File::open(nest.join("users")).map_err(Failure::at(nest))
    }

    fn say(&self, word: &str) -> Result {
        let written = (&self.0).write_all(format!("{word}\n").as_bytes());
        written.map_err(|error| Failure::new(format!("the server's supervisor cannot be reached: {error}")))
    }
}

/// Says where the server is to those who may join.
fn published(nest: &Path) -> PathBuf {
    nest.join("server")
}
