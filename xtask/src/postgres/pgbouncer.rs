//! `PgBouncer` in front of a throwaway server, for tests.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    Database,
    account::Account,
    home::{Home, log},
    supervisor::free_ports,
    url::Url,
};
use crate::{Failure, Result};

/// Where packages put the program, which is not in the path of every user.
const USUAL_PLACES: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin"];

/// Names the program, where another one than that of the system is wanted.
const PROGRAM_VARIABLE: &str = "EVERCORE_TEST_PGBOUNCER";

/// The first version that knows what clients have prepared.
const KNOWS_STATEMENTS: (u32, u32) = (1, 21);

/// Ends with whoever started it, however that ends: the kernel closes its standard input then.
const SCRIPT: &str = "\"$1\" pgbouncer.ini & read -r _; kill -9 $!; cd / && rm -rf \"$2\"";

/// So long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A `PgBouncer` in transaction mode that passes on to the server of a database. It ends when it is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    supervisor: Child,
    log: PathBuf,
    url: Url,
    console: Url,
}

/// How a `PgBouncer` treats prepared statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statements {
    /// It prepares on each session what its clients have prepared, as it can since version 1.21.
    Known,
    /// It knows nothing of them.
    Unknown,
}

impl PgBouncer {
    /// Starts one with so many sessions for each database, which it gives out in turn: the next transaction of a client has
    /// another session. `None` where none is installed, or none that knows prepared statements though it should;
    /// then it is said on standard error.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn before(database: &Database, statements: Statements, sessions: u32) -> Result<Option<Self>> {
        let Some(program) = program() else {
            eprintln!("SKIPPED: PgBouncer is not installed (Debian and Ubuntu: apt-get install pgbouncer)");
            return Ok(None);
        };
        let version = version(&program)?;
        let setting = match (version >= KNOWS_STATEMENTS, statements) {
            (true, Statements::Known) => "max_prepared_statements = 200",
            (true, Statements::Unknown) => "max_prepared_statements = 0",
            (false, Statements::Unknown) => "",
            (false, Statements::Known) => {
                eprintln!(
                    "SKIPPED: PgBouncer {}.{} knows no prepared statements, 1.21 does",
                    version.0, version.1
                );
                return Ok(None);
            }
        };
        Self::start(&program, database, &format!("default_pool_size = {sessions}\n{setting}\n")).map(Some)
    }

    /// Whether there is one for tests.
    #[must_use]
    pub fn is_installed() -> bool {
        program().is_some()
    }

    /// What tests behind one will do, for people: test runners hide what tests say that pass.
    pub(super) fn prospects() -> String {
        let Some(program) = program() else {
            return "there is no PgBouncer: tests behind one are SKIPPED".to_owned();
        };
        match version(&program) {
            Ok(version) if version < KNOWS_STATEMENTS => format!(
                "PgBouncer {}.{} is used; tests behind one that knows prepared statements (1.21) are SKIPPED",
                version.0, version.1
            ),
            Ok(version) => format!("PgBouncer {}.{} is used", version.0, version.1),
            Err(failure) => format!("{failure}: tests behind a PgBouncer will fail"),
        }
    }

    /// How a client connects to the database through it.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// How one connects to its console, which takes `PAUSE` and `RESUME`.
    #[must_use]
    pub fn console_url(&self) -> String {
        self.console.to_string()
    }

    fn start(program: &Path, database: &Database, settings: &str) -> Result<Self> {
        let Some(throwaway) = &database.server.throwaway else {
            return Err(Failure::new("PgBouncer is started before throwaway servers alone"));
        };
        let account = Account::for_servers()?;
        let home = Home::new(&account)?;
        let nest = home.nest(&home.lock()?)?;
        let port = free_ports().first().copied().ok_or_else(|| Failure::new("there is no free port"))?;
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=evercore password={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\nadmin_users = evercore\n\
             pool_mode = transaction\nserver_round_robin = 1\nmax_client_conn = 500\n{settings}",
            throwaway.port, throwaway.password
        );
        let file = nest.path.join("pgbouncer.ini");
        fs::write(&file, configuration).map_err(Failure::at(&file))?;
        account.own(&file)?;
        let mut supervisor = account.command(Path::new("sh"), &nest.path);
        supervisor.args(["-c", SCRIPT, "sh"]).arg(program).arg(&nest.path);
        // It is not interrupted with the tests, but ends after them.
        supervisor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(nest.log).process_group(0);
        let supervisor = supervisor.spawn().map_err(Failure::at(&nest.path))?;
        let name = format!("127.0.0.1:{port}");
        let to = |database| Url::tcp("evercore:none", &name, database);
        let (url, console) = (to(&database.name), to("pgbouncer"));
        let started = Self { supervisor, log: log(&nest.path), url, console };
        started.wait_until_it_listens(port)?;
        Ok(started)
    }

    fn wait_until_it_listens(&self, port: u16) -> Result {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline {
                let reason = fs::read_to_string(&self.log).unwrap_or_default();
                return Err(Failure::new(format!("PgBouncer did not start\n\n{reason}")));
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // The end of its input tells the script to end.
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os(PROGRAM_VARIABLE) {
        return Some(named.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(USUAL_PLACES.iter().map(PathBuf::from));
    places.map(|place| place.join("pgbouncer")).find(|program| program.is_file())
}

/// From `PgBouncer 1.18.0` and lines about its libraries.
fn version(program: &Path) -> Result<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().map_err(Failure::at(program))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    parse_version(&text).ok_or_else(|| Failure::new(format!("{}: {text:?} is no version", program.display())))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{PgBouncer, Statements, parse_version};
    use crate::postgres::{Server, account::without_defaults, supervisor::run};

    #[test]
    fn it_passes_on_and_leaves_nothing_behind() {
        let server = Server::throwaway_for_tests().expect("a server");
        let database = server.create_database().expect("a database");
        let Some(pooler) = PgBouncer::before(&database, Statements::Unknown, 2).expect("it starts") else {
            return;
        };
        let mut psql = Command::new(&server.psql);
        without_defaults(&mut psql);
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--dbname", &pooler.url()]);
        let mut ask = || run(psql.args(["--command", "SELECT current_database()"]));
        assert_eq!(ask().expect("an answer").trim(), database.name());
        let (url, nest) = (pooler.url(), pooler.log.parent().expect("a directory").to_owned());
        drop(pooler);
        assert!(ask().is_err(), "{url}");
        assert!(!nest.exists());
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("PgBouncer 1.18.0\nlibevent 2.1.12-stable\n"), Some((1, 18)));
        assert_eq!(parse_version("PgBouncer 1.24.1"), Some((1, 24)));
        assert_eq!(parse_version("something else"), None);
    }
}
