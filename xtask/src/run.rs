//! Named steps, and the commands that they run.

use std::{
    env, fmt,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::{Failure, Result};

/// Does one step of a task, and says its name and how long it took.
///
/// # Errors
///
/// Those of the work.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("\n==> {name}");
    let start = Instant::now();
    let outcome = work();
    let verdict = if outcome.is_ok() { "done" } else { "FAILED" };
    eprintln!("<== {name}: {verdict} after {:.1} s", start.elapsed().as_secs_f64());
    outcome
}

/// The top of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Runs this program again, with a feature that its default build does not have. That build is an optimised one,
/// because such tasks put a load on something, and it does not replace the default build.
///
/// # Errors
///
/// When it cannot be built, and when the task fails.
pub fn again(feature: &str, arguments: &[String]) -> Result {
    let cargo = Cargo::new("run --release --package xtask").with_argument(format!("--features={feature}"));
    arguments.iter().fold(cargo.with_argument("--"), Cargo::with_argument).run()
}

/// A call of cargo.
#[derive(Debug)]
pub(crate) struct Cargo {
    arguments: &'static str,
    more: Vec<String>,
    variable: Option<(&'static str, &'static str)>,
    directory: PathBuf,
}

/// One of the two streams that a command writes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// What a command wrote, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) text: String,
    pub(crate) succeeded: bool,
}

impl Cargo {
    /// `cargo` with these arguments, which are separated by spaces, at the top of the repository.
    pub(crate) fn new(arguments: &'static str) -> Self {
        Self { arguments, more: Vec::new(), variable: None, directory: root() }
    }

    pub(crate) fn with_argument(mut self, argument: impl Into<String>) -> Self {
        self.more.push(argument.into());
        self
    }

    pub(crate) fn with_variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variable = Some((name, value));
        self
    }

    pub(crate) fn in_directory(mut self, directory: PathBuf) -> Self {
        self.directory = directory;
        self
    }

    /// Runs it; it writes to the terminal.
    pub(crate) fn run(&self) -> Result {
        let status = self.command().status().map_err(|error| self.failure(&error))?;
        if status.success() { Ok(()) } else { Err(self.failure(&"it failed")) }
    }

    /// Runs it; what it writes goes to the terminal, and one of its streams is returned as well.
    pub(crate) fn run_reading(&self, stream: Stream) -> Result<Output> {
        let mut command = self.command();
        match stream {
            Stream::Stdout => command.stdout(Stdio::piped()),
            Stream::Stderr => command.stderr(Stdio::piped()),
        };
        let mut child = command.spawn().map_err(|error| self.failure(&error))?;
        let text = match stream {
            Stream::Stdout => child.stdout.take().map(echo),
            Stream::Stderr => child.stderr.take().map(echo),
        };
        let status = child.wait().map_err(|error| self.failure(&error))?;
        Ok(Output { text: text.unwrap_or_default(), succeeded: status.success() })
    }

    /// Whether it succeeds; it writes nothing.
    pub(crate) fn succeeds(&self) -> bool {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// A failure of this command, with the command to repeat it.
    pub(crate) fn failure(&self, reason: &dyn fmt::Display) -> Failure {
        Failure::new(format!("{reason}; repeat it with\n\n    {self}"))
    }

    /// The cargo that runs this program, so that every step uses the same toolchain.
    fn command(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(self.arguments()).envs(self.variable).current_dir(&self.directory).stdin(Stdio::null());
        command
    }

    fn arguments(&self) -> impl Iterator<Item = &str> {
        // What follows `--` is not cargo's, so arguments that were added stand before it.
        let (own, passed_on) = self.arguments.split_once(" -- ").unwrap_or((self.arguments, ""));
        let separator = (!passed_on.is_empty()).then_some("--");
        own.split_whitespace()
            .chain(self.more.iter().map(String::as_str))
            .chain(separator)
            .chain(passed_on.split_whitespace())
    }
}

impl fmt::Display for Cargo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, value)) = self.variable {
            write!(f, "{name}=\"{value}\" ")?;
        }
        f.write_str("cargo")?;
        self.arguments().try_for_each(|argument| write!(f, " {argument}"))?;
        match self.directory.strip_prefix(root()) {
            Ok(directory) if !directory.as_os_str().is_empty() => {
                write!(f, "    (in {})", directory.display())
            }
            _ => Ok(()),
        }
    }
}

/// Reads to the end and shows every line when it comes.
fn echo(stream: impl Read) -> String {
    let mut reader = BufReader::new(stream);
    let mut text = String::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let shown = String::from_utf8_lossy(&line);
        eprint!("{shown}");
        text.push_str(&shown);
        line.clear();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Cargo, root};

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let cargo = Cargo::new("clippy -p evercore -- -D warnings")
            .with_argument("--lib")
            .with_variable("RUSTDOCFLAGS", "-D warnings")
            .in_directory(root().join("target"));
        assert_eq!(
            cargo.to_string(),
            "RUSTDOCFLAGS=\"-D warnings\" cargo clippy -p evercore --lib -- -D warnings    (in target)"
        );
    }

    #[test]
    fn a_failed_command_says_how_to_repeat_it() {
        let failure = Cargo::new("no-such-command").run().expect_err("cargo has no such command");
        assert!(failure.to_string().ends_with("repeat it with\n\n    cargo no-such-command"), "{failure}");
    }
}
