//! How throwaway servers come and go.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    panic,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    Database, Options, PrivateServer, Server,
    account::{Account, without_defaults},
    home::{Home, log, random},
    supervisor::run,
};

/// A place where no other test looks for servers.
struct Place {
    account: Account,
    home: Home,
}

impl Place {
    fn new() -> Self {
        let account = Account::for_servers().expect("there is an account");
        let home = Home::new(&account).expect("there is a place");
        let path = home.path().with_extension(format!("{:06x}", random() >> 40));
        Self { account, home: Home::at(path, &account).expect("there is a place") }
    }

    fn shared(&self, linger: u32) -> Server {
        Server::shared(&self.home, &self.account, &Options::new().with_linger(linger)).expect("a server")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let path = self.home.path();
        for nest in fs::read_dir(path).into_iter().flatten().flatten() {
            let _ = File::open(log(&nest.path())).and_then(|log| log.lock_shared());
        }
        let _ = fs::remove_file(path.join("lock"));
        let removed = fs::remove_dir(path);
        assert!(removed.is_ok() || thread::panicking(), "{} is not empty", path.display());
    }
}

/// What is to be gone when a server is gone.
struct Traces {
    nest: PathBuf,
    log: File,
    process: String,
}

impl Traces {
    fn of(nest: &Path) -> Self {
        let pid = fs::read_to_string(nest.join("data/postmaster.pid")).expect("the server runs");
        let process = pid.lines().next().expect("it has a first line").to_owned();
        Self { nest: nest.to_owned(), log: File::open(log(nest)).expect("there is a log"), process }
    }

    fn are_gone(&self) {
        self.log.lock_shared().expect("the log can be locked");
        assert!(!self.nest.exists(), "{} is still there", self.nest.display());
        // It removes its files and ends a moment later.
        let deadline = Instant::now() + Duration::from_secs(10);
        while runs(&self.process) {
            assert!(Instant::now() < deadline, "process {} still runs", self.process);
        }
    }
}

/// A process that has ended may be known until its parent has heard of it.
fn runs(process: &str) -> bool {
    let script = "kill -0 \"$1\" && ! grep -q 'State:.*Z' \"/proc/$1/status\"";
    run(Command::new("sh").args(["-c", script, "sh", process])).is_ok()
}

fn nest(server: &Server) -> PathBuf {
    server.throwaway.as_ref().expect("it is a throwaway server").nest.clone()
}

/// What a client gets that connects to a URL.
fn query(psql: &Path, url: &str, statement: &str) -> Result<String, String> {
    let mut psql = Command::new(psql);
    without_defaults(&mut psql);
    psql.args(["--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--dbname", url]);
    let answer = run(psql.args(["--command", statement])).map_err(|failure| failure.to_string());
    answer.map(|text| text.trim_end().to_owned())
}

#[test]
fn each_database_is_its_own_and_is_dropped() {
    let server = Server::for_tests().expect("a server");
    let (one, two) = (server.create_database().expect("one"), server.create_database().expect("two"));
    query(&server.psql, &one.url(), "CREATE TABLE mine (id int)").expect("it is a database");
    assert_eq!(query(&server.psql, &one.url(), "SELECT count(*) FROM mine").as_deref(), Ok("0"));
    assert_eq!(query(&server.psql, &two.url(), "SELECT current_database()").as_deref(), Ok(two.name()));
    assert!(
        query(&server.psql, &two.url(), "SELECT FROM mine")
            .is_err_and(|text| text.contains("does not exist"))
    );
    let url = one.url();
    drop(one);
    assert!(query(&server.psql, &url, "SELECT 1").is_err_and(|text| text.contains("does not exist")));
}

#[test]
fn the_database_of_a_failed_test_is_kept() {
    let server = Server::for_tests().expect("a server");
    let database = server.create_database().expect("a database");
    let (name, url) = (database.name().to_owned(), database.url());
    let failed = panic::catch_unwind(panic::AssertUnwindSafe(move || {
        let _database = database;
        panic::resume_unwind(Box::new("the test fails"));
    }));
    assert!(failed.is_err());
    assert_eq!(query(&server.psql, &url, "SELECT current_database()").as_ref(), Ok(&name));
    drop(Database { server: server.clone(), name });
    assert!(query(&server.psql, &url, "SELECT 1").is_err());
}

#[test]
fn all_users_share_a_server_until_the_last_has_gone() {
    let place = Place::new();
    let first = place.shared(0);
    let traces = Traces::of(&nest(&first));
    let second = place.shared(0);
    assert_eq!(first.url(), second.url());
    let database = second.create_database().expect("a database");
    drop((first, second));
    // The database is a user, too.
    assert_eq!(query(&database.server.psql, &database.url(), "SELECT 1").as_deref(), Ok("1"));
    drop(database);
    traces.are_gone();
    let third = place.shared(0);
    assert_ne!(nest(&third), traces.nest);
    let traces = Traces::of(&nest(&third));
    drop(third);
    traces.are_gone();
}

#[test]
fn a_server_lingers_for_the_next_user_unless_told_that_nobody_comes() {
    let place = Place::new();
    let first = place.shared(1);
    let traces = Traces::of(&nest(&first));
    drop(first);
    let second = place.shared(1);
    assert_eq!(nest(&second), traces.nest);
    drop(second);
    traces.are_gone();

    let before = Instant::now();
    let first = place.shared(60);
    let traces = Traces::of(&nest(&first));
    first.leave().expect("it can be told");
    traces.are_gone();
    assert!(before.elapsed() < Duration::from_secs(60), "it has waited");
}

#[test]
fn a_server_that_is_kept_needs_no_users_and_ends_when_told() {
    let place = Place::new();
    let server = place.shared(0);
    let traces = Traces::of(&nest(&server));
    server.keep().expect("it can be told");
    let (psql, url) = (server.psql.clone(), server.url());
    drop(server);
    // To connect is not to use it: this would be cut off.
    let count = query(&psql, &url, "SELECT count(*) FROM generate_series(1, 3000000)");
    assert_eq!(count.as_deref(), Ok("3000000"));
    let lock = place.home.lock().expect("it can be locked");
    let found = place.home.join_running(&lock, &place.account).expect("it can be read");
    let found = Server::throwaway(found.expect("it still runs").into());
    assert_eq!(nest(&found), traces.nest);
    found.stop().expect("it can be told");
    traces.are_gone();
    assert!(place.home.join_running(&lock, &place.account).expect("it can be read").is_none());
}

#[test]
fn a_server_is_gone_after_its_user_was_killed() {
    const CHILD: &str = "XTASK_TEST_KILLED_USER";
    let this_test = "postgres::tests::a_server_is_gone_after_its_user_was_killed";
    if env::var_os(CHILD).is_some() {
        let server = Server::private(&Options::new()).expect("a server");
        println!("\nnest={}", nest(&server).display());
        // Nothing comes, so this waits to be killed.
        let _ = std::io::stdin().read(&mut [0]);
        return;
    }
    let mut child = Command::new(env::current_exe().expect("this is a program"));
    child.args([this_test, "--exact", "--nocapture"]).env(CHILD, "yes");
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let nest = lines.find_map(|line| line.strip_prefix("nest=").map(PathBuf::from));
    let traces = Traces::of(&nest.expect("the child starts a server"));
    child.kill().expect("it can be killed");
    traces.are_gone();
    child.wait().expect("it is dead");
}

#[test]
fn a_private_server_is_stopped_killed_and_restarted_at_the_same_address() {
    let server: PrivateServer = Server::private(&Options::new().durable()).expect("a server");
    let traces = Traces::of(&nest(&server));
    let database = server.create_database().expect("a database");
    let url = database.url();
    assert_eq!(query(&server.psql, &url, "SHOW fsync").as_deref(), Ok("on"));
    query(&server.psql, &url, "CREATE TABLE mine (id int)").expect("a table");
    for hurt in [PrivateServer::shut_down, PrivateServer::kill_9] {
        hurt(&server).expect("it can be hurt");
        assert!(query(&server.psql, &url, "SELECT 1").is_err());
        server.restart().expect("it starts again");
        assert_eq!(query(&server.psql, &url, "SELECT count(*) FROM mine").as_deref(), Ok("0"));
    }
    drop((database, server));
    traces.are_gone();
}

#[test]
fn a_standby_follows_its_primary_and_is_read_only() {
    let primary = Server::private(&Options::new()).expect("a server");
    let standby = primary.standby(&Options::new()).expect("a standby");
    let (psql, there) = (&primary.psql, standby.url());
    query(psql, &primary.url(), "CREATE TABLE mine (id int)").expect("a table");
    let deadline = Instant::now() + Duration::from_secs(20);
    while query(psql, &there, "SELECT count(*) FROM mine").as_deref() != Ok("0") {
        assert!(Instant::now() < deadline, "the table does not arrive");
    }
    let refused = query(psql, &there, "DROP TABLE mine");
    assert!(refused.is_err_and(|text| text.contains("read-only")));
}

#[test]
fn a_wrong_password_is_refused_and_other_roles_have_theirs() {
    let server = Server::private(&Options::new()).expect("a server");
    let database = server.create_database().expect("a database");
    query(&server.psql, &database.url(), "CREATE ROLE guest LOGIN PASSWORD 'secret'").expect("a role");
    assert_eq!(
        query(&server.psql, &database.url_as("guest", "secret"), "SELECT current_user").as_deref(),
        Ok("guest")
    );
    for role in ["guest", "evercore"] {
        let refused = query(&server.psql, &database.url_as(role, "wrong"), "SELECT 1");
        assert!(refused.is_err_and(|text| text.contains("password authentication failed")), "{role}");
    }
}

#[test]
fn a_server_that_does_not_start_says_why_and_leaves_nothing() {
    let place = Place::new();
    let options = Options::new().with_setting("no_such_setting", "on");
    let failure = Server::shared(&place.home, &place.account, &options).expect_err("it cannot start");
    assert!(failure.to_string().contains("no_such_setting"), "{failure}");
    // That nothing is left is what `Place` asserts.
}

#[test]
fn what_a_dead_supervisor_left_is_removed_by_the_next() {
    let place = Place::new();
    let server = place.shared(0);
    let traces = Traces::of(&nest(&server));
    let supervisor = fs::read_to_string(nest(&server).join("supervisor")).expect("it is known");
    run(Command::new("sh").args(["-c", "kill -9 \"$1\"", "sh", supervisor.trim()]))
        .expect("it can be killed");
    traces.log.lock_shared().expect("it is dead");
    traces.log.unlock().expect("it was locked");
    let next = place.shared(0);
    assert_ne!(nest(&next), traces.nest);
    traces.are_gone();
    let traces = Traces::of(&nest(&next));
    drop(next);
    traces.are_gone();
}

#[test]
fn users_that_come_and_go_all_have_a_server_that_stays() {
    let place = Place::new();
    let come_and_go = |times| {
        for _ in 0..times {
            let server = place.shared(0);
            assert_eq!(query(&server.psql, &server.url(), "SELECT 1").as_deref(), Ok("1"));
        }
    };
    // Alone, each comes while the server of the one before is about to end.
    come_and_go(40);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| come_and_go(5));
        }
    });
}

#[test]
fn a_named_server_gives_databases_and_is_not_stopped() {
    let owner = Server::private(&Options::new()).expect("a server");
    let server = Server::named(&owner.url()).expect("a server");
    let database = server.create_database().expect("a database");
    assert_eq!(
        query(&server.psql, &database.url(), "SELECT current_database()").as_deref(),
        Ok(database.name())
    );
    let url = database.url();
    drop(database);
    assert!(query(&server.psql, &url, "SELECT 1").is_err_and(|text| text.contains("does not exist")));
    server.keep().expect("nothing is done");
    server.stop().expect("nothing is done");
    assert_eq!(query(&owner.psql, &owner.url(), "SELECT 1").as_deref(), Ok("1"));
}
