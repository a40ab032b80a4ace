//! The directory that has the throwaway servers of one target directory.

use std::{
    env,
    fs::{self, DirBuilder, File},
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use super::{account::Account, supervisor, throwaway::Throwaway};
use crate::{Failure, Result, run::root};

/// The address of a socket in a subdirectory may have 104 bytes on some systems: `/01234567/.s.PGSQL.12345`.
const LONGEST: usize = 104 - 25;

/// Has a subdirectory for each server.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    account: Account,
}

/// Held by who starts a server that others may join, and by who looks for one.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// The directory of a server that is about to be started, with its log, which is locked.
#[derive(Debug)]
pub(super) struct Nest {
    pub(super) path: PathBuf,
    pub(super) log: File,
}

impl Home {
    /// In the target directory, if that will do.
    pub(super) fn new(account: &Account) -> Result<Self> {
        let target = target();
        let path = target.join(format!("postgres-{}", account.user()));
        if account.reaches(&path) && path.as_os_str().len() <= LONGEST {
            return Self::at(path, account);
        }
        let mut hasher = DefaultHasher::new();
        target.hash(&mut hasher);
        let name = format!("evercore-postgres-{}-{:08x}", account.user(), hasher.finish() >> 32);
        let path = env::temp_dir().join(name);
        if !account.reaches(&path) {
            return Err(Failure::new(format!(
                "{}: cannot be reached by the server's account",
                path.display()
            )));
        }
        Self::at(path, account)
    }

    pub(super) fn at(path: PathBuf, account: &Account) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Failure::at(parent))?;
        }
        match fs::create_dir(&path) {
            Ok(()) => account.own(&path)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::at(&path)(error)),
        }
        // Others may write to a directory for temporary files.
        let found = fs::symlink_metadata(&path).map_err(Failure::at(&path))?;
        if !found.is_dir() || found.uid() != account.user() {
            return Err(Failure::new(format!("{}: is not a directory of this user", path.display())));
        }
        Ok(Self { path, account: *account })
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn lock(&self) -> Result<Lock> {
        let path = self.path.join("lock");
        let file = File::options().create(true).append(true).open(&path).map_err(Failure::at(&path))?;
        file.lock().map_err(Failure::at(&path))?;
        Ok(Lock { _file: file })
    }

    /// Becomes a user of the server that others use.
    pub(super) fn join_running(&self, _lock: &Lock, account: &Account) -> Result<Option<Throwaway>> {
        for nest in self.nests()?.iter().filter(|nest| is_alive(nest)) {
            if let Some(throwaway) = Throwaway::join(nest, account)? {
                return Ok(Some(throwaway));
            }
        }
        Ok(None)
    }

    /// Makes the directory of a new server, after what is left of servers that could not clean up.
    pub(super) fn nest(&self, _lock: &Lock) -> Result<Nest> {
        for nest in self.nests()?.iter().filter(|nest| !is_alive(nest)) {
            supervisor::remove(nest, &self.account)?;
        }
        let path = self.path.join(format!("{:08x}", random() >> 32));
        DirBuilder::new().mode(0o700).create(&path).map_err(Failure::at(&path))?;
        self.account.own(&path)?;
        let log = log(&path);
        let file = File::options().create(true).append(true).open(&log).map_err(Failure::at(&log))?;
        file.lock().map_err(Failure::at(&log))?;
        self.account.own(&log)?;
        Ok(Nest { path, log: file })
    }

    fn nests(&self) -> Result<Vec<PathBuf>> {
        let mut nests = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(Failure::at(&self.path))? {
            let path = entry.map_err(Failure::at(&self.path))?.path();
            nests.extend(path.is_dir().then_some(path));
        }
        Ok(nests)
    }
}

/// What the server and its supervisor have to say.
pub(super) fn log(nest: &Path) -> PathBuf {
    nest.join("log")
}

/// Not guessable, and different every time.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Whether there is a supervisor: it has its log locked.
fn is_alive(nest: &Path) -> bool {
    File::open(log(nest)).is_ok_and(|log| log.try_lock_shared().is_err())
}

/// Cargo marks its directory; programs that it builds are in there, except for doctests.
fn target() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let marked = program.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
    let named = || env::var_os("CARGO_TARGET_DIR").map(|directory| root().join(directory));
    marked.map(Path::to_path_buf).or_else(named).unwrap_or_else(|| root().join("target"))
}
