//! Who runs the server's programs.

use std::{
    env, fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

use crate::{Failure, Result};

/// Accounts that may stand in for root, for which `initdb` and `postgres` refuse to work.
const STAND_INS: [&str; 2] = ["postgres", "nobody"];

/// The account that the server's programs run as, and that owns its files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    user: u32,
    /// The group, if it is another account than that of this process.
    group: Option<u32>,
}

impl Account {
    /// That of this process, unless it is root.
    pub(super) fn for_servers() -> Result<Self> {
        let user = id(&["-u"]).ok_or_else(|| Failure::new("`id -u` does not say who runs this program"))?;
        if user != 0 {
            return Ok(Self { user, group: None });
        }
        let stand_in = STAND_INS
            .iter()
            .find_map(|name| Some(Self { user: id(&["-u", name])?, group: Some(id(&["-g", name])?) }));
        stand_in.ok_or_else(|| {
            Failure::new(format!(
                "PostgreSQL does not run as root, and there is none of the accounts {}; run the tests as another user",
                STAND_INS.join(", ")
            ))
        })
    }

    pub(super) fn user(&self) -> u32 {
        self.user
    }

    /// A command that runs as this account, in a directory that it can enter, and knows no other server.
    pub(super) fn command(&self, program: &Path, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(directory).stdin(Stdio::null());
        without_defaults(&mut command);
        if let Some(group) = self.group {
            command.uid(self.user).gid(group);
        }
        command
    }

    /// Hands a file or directory over.
    pub(super) fn own(&self, path: &Path) -> Result {
        match self.group {
            Some(group) => chown(path, Some(self.user), Some(group)).map_err(Failure::at(path)),
            None => Ok(()),
        }
    }

    /// Whether this account can get to a directory: it may enter all that are above.
    pub(super) fn reaches(&self, path: &Path) -> bool {
        let enters = |directory: &Path| {
            // Those that do not exist yet will be made by this process, for everybody to enter.
            fs::metadata(directory)
                .map_or(true, |found| found.uid() == self.user || found.mode() & 0o001 != 0)
        };
        self.group.is_none() || path.ancestors().skip(1).all(enters)
    }
}

/// Removes the variables that tell clients which server to use.
pub(super) fn without_defaults(command: &mut Command) {
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C");
}

/// Whether this program may do everything on this machine.
pub(super) fn is_root() -> bool {
    id(&["-u"]) == Some(0)
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
