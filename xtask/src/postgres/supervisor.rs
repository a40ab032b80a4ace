//! Starting a throwaway server, and removing one that lost its supervisor.

use std::{
    fs::{self, File},
    io::{self, Read},
    iter,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    account::Account,
    home::{Nest, log, random},
    options::Options,
    programs::Programs,
    throwaway::{Throwaway, Users},
};
use crate::{Failure, Result};

const SCRIPT: &str = include_str!("supervisor.sh");

/// Whoever can open the socket is trusted. The superuser's password is sent as it is: that costs a client nothing, while
/// SCRAM takes a tenth of a second without optimisation. All other roles have SCRAM.
const ACCESS: &str = "\
local all         all                      trust
local replication all                      trust
host  all         evercore  127.0.0.1/32   password
host  replication evercore  127.0.0.1/32   password
host  all         all       127.0.0.1/32   scram-sha-256
";

/// Ports from which the kernel does not choose those of clients: while a server is down, a client could
/// connect to itself.
const PORTS: Range<u16> = 20_000..32_000;

/// Starts a server, and a supervisor that ends it when nobody uses it.
pub(super) fn start(
    nest: Nest,
    account: &Account,
    programs: Programs,
    options: &Options,
    linger: u32,
) -> Result<Throwaway> {
    let primary = options.primary();
    let password = primary.map_or_else(|| format!("{:016x}", random()), |primary| primary.password.clone());
    let users = Users::create(&nest.path, account)?;
    let settings = format!(
        "{}listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nunix_socket_permissions = 0700\n",
        options.lines(),
        nest.path.display()
    );
    let script = nest.path.join("supervisor.sh");
    fs::write(&script, SCRIPT).map_err(Failure::at(&script))?;
    account.own(&script)?;
    let log = File::open(log(&nest.path)).map_err(Failure::at(&nest.path))?;
    let mut supervisor = account.command(Path::new("sh"), &nest.path);
    supervisor
        .args([&script, &nest.path])
        .arg(linger.to_string())
        .args(free_ports().iter().map(u16::to_string))
        .env("PROGRAMS", programs.place())
        .env("PASSWORD", &password)
        .env("PRIMARY", primary.map_or("", |primary| &primary.connection))
        .env("SETTINGS", settings)
        .env("ACCESS", ACCESS)
        .stdin(Users::reader(&nest.path)?)
        .stdout(Stdio::piped())
        .stderr(nest.log)
        // Interrupting the tests in a terminal ends them, and by that the server in good order.
        .process_group(0);
    let mut child = supervisor.spawn().map_err(Failure::at(&nest.path))?;
    // The supervisor alone has the lock on the log now.
    drop(supervisor);
    let mut port = String::new();
    child.stdout.take().map(|mut stdout| stdout.read_to_string(&mut port));
    let Ok(port) = port.trim().parse() else {
        // It has been removed, but can be read.
        let reason = child.wait().and_then(|_| io::read_to_string(log)).unwrap_or_default();
        return Err(Failure::new(format!("PostgreSQL did not start\n\n{reason}")));
    };
    Ok(Throwaway { nest: nest.path, users, port, password, programs, account: *account })
}

/// Removes what is left of a server whose supervisor is dead.
pub(super) fn remove(nest: &Path, account: &Account) -> Result {
    let data = nest.join("data");
    if data.join("postmaster.pid").is_file()
        && let Ok(programs) = Programs::newest()
    {
        let mut stop = account.command(&programs.place().join("pg_ctl"), nest);
        stop.args(["stop", "--mode=immediate", "--pgdata"]).arg(&data);
        // Fails when the server is dead, too.
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    match fs::remove_dir_all(nest) {
        Err(error) if nest.exists() => Err(Failure::at(nest)(error)),
        _ => Ok(()),
    }
}

/// Some, because another program may take one before the server does.
pub(super) fn free_ports() -> Vec<u16> {
    let candidates = iter::repeat_with(|| {
        let offset = random() % u64::from(PORTS.end - PORTS.start);
        PORTS.start + u16::try_from(offset).unwrap_or(0)
    });
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    candidates.take(1000).filter(is_free).take(5).collect()
}

/// Runs a command to its end; when it fails, what it wrote is the reason.
pub(super) fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let output = command.stdin(Stdio::null()).output().map_err(Failure::at(Path::new(&program)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = [output.stderr, output.stdout].concat();
    Err(Failure::new(format!(
        "{}: {}",
        Path::new(&program).display(),
        String::from_utf8_lossy(&text).trim_end()
    )))
}
