//! Getting a server where there is none.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{PgBouncer, account::is_root, named_url, programs::Programs};
use crate::{Failure, Result};

/// Makes sure that a server can be had: where none is named or found, on Debian or Ubuntu and as root, installs the
/// distribution's package and says so. For tasks that a person started; tests never install anything.
///
/// # Errors
///
/// When there is none; the text says what to install or to set.
pub fn install_if_missing() -> Result {
    if named_url().is_some() {
        return Ok(());
    }
    let Err(missing) = Programs::newest() else { return Ok(()) };
    if !Path::new("/etc/debian_version").exists() || !is_root() {
        return Err(missing);
    }
    eprintln!("there is no PostgreSQL server; installing the package `postgresql`");
    let no_cluster = NoCluster::new();
    apt_get(&["update"])?;
    apt_get(&["install", "--yes", "--no-install-recommends", "postgresql"])?;
    drop(no_cluster);
    Programs::newest().map(drop)
}

/// Makes sure that there is a `PgBouncer`, in the same way, and says what tests behind one will do. Where none can be had
/// they skip, which is no failure.
pub fn install_pgbouncer_if_missing() {
    if !PgBouncer::is_installed() && Path::new("/etc/debian_version").exists() && is_root() {
        eprintln!("there is no PgBouncer; installing the package `pgbouncer`");
        let installed = apt_get(&["install", "--yes", "--no-install-recommends", "pgbouncer"]);
        if let Err(failure) = installed {
            eprintln!("{failure}");
        }
        // The package starts one that nobody has asked for. Where there is no systemd it does not.
        let mut disable = Command::new("systemctl");
        disable.args(["disable", "--now", "pgbouncer.service"]).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = disable.status();
    }
    eprintln!("{}", PgBouncer::prospects());
}

fn apt_get(arguments: &[&str]) -> Result {
    let mut command = Command::new("apt-get");
    let status = command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status();
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(Failure::new(format!("it failed; repeat it with\n\n    apt-get {}", arguments.join(" "))))
}

/// While it lives, the package makes no server of its own that would run from now on.
struct NoCluster;

impl NoCluster {
    const DIRECTORY: &str = "/etc/postgresql-common/createcluster.d";
    const FILE: &str = "/etc/postgresql-common/createcluster.d/evercore.conf";

    fn new() -> Self {
        // If that fails, there is one more server on this machine, which is no reason to give up.
        let _ = fs::create_dir_all(Self::DIRECTORY)
            .and_then(|()| fs::write(Self::FILE, "create_main_cluster = false\n"));
        Self
    }
}

impl Drop for NoCluster {
    fn drop(&mut self) {
        let _ = fs::remove_file(Self::FILE);
    }
}
