//! Another process, what it says, and its end.

use std::{
    env,
    io::{self, BufRead, BufReader, Write as _},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};

use super::orders::Orders;
use crate::Position;

/// By this the lines are known that are meant for the test.
const MARK: &str = "evercore says ";

/// A process that says nothing for so long has gone wrong.
const PATIENCE: Duration = Duration::from_secs(40);

/// This test binary, started again.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    said: mpsc::UnboundedReceiver<Said>,
}

/// What a process says.
#[derive(Debug)]
pub(super) struct Said {
    /// A step that it comes to, or what else happens.
    pub(super) what: String,
    /// Of the event that this is about, if it is about one.
    pub(super) position: Position,
}

/// Says something to the one who started this process, past the capture of the test harness. What was said has
/// arrived, even when this process is killed right after.
pub(super) fn say(what: &str, position: Position) {
    let line = format!("{MARK}{what} {position}\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Ends this process when the one who started it is gone.
pub(super) fn live_no_longer_than_the_parent() {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
}

impl Process {
    /// Starts the test of this name, with these orders.
    pub(super) fn start(test: &str, orders: &Orders) -> Self {
        let (name, value) = orders.variable();
        // Names of tests do not begin with that of the crate.
        let test = test.split_once("::").unwrap().1;
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(name, value)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, said) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                match parse(&line) {
                    Some(said) => drop(sender.send(said)),
                    None => eprintln!("of another process: {line}"),
                }
            }
        });
        Self { child, said }
    }

    /// The next thing that it says.
    pub(super) async fn next(&mut self) -> Said {
        let said = timeout(PATIENCE, self.said.recv()).await;
        said.expect("the process says nothing").expect("the process has ended")
    }

    /// Waits until it says this.
    pub(super) async fn until(&mut self, what: &str) {
        while self.next().await.what != what {}
    }

    /// Kills it, and returns what it had said before.
    pub(super) async fn kill(mut self) -> Vec<Said> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut rest = Vec::new();
        while let Some(said) = self.said.recv().await {
            rest.push(said);
        }
        rest
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(line: &str) -> Option<Said> {
    // What the test harness prints may stand before it.
    let (_, said) = line.split_once(MARK)?;
    let (what, position) = said.split_once(' ')?;
    Some(Said { what: what.to_owned(), position: Position::new(position.parse().ok()?) })
}
