//! What a process is to do.

use std::{env, fmt, time::Duration};

const VARIABLE: &str = "EVERCORE_CRASH_ORDERS";

/// What a process is to do; as a text in its environment.
#[derive(Debug, Clone)]
pub(super) struct Orders {
    pub(super) mode: Mode,
    /// Stops at this step, when it comes to it for the second time.
    pub(super) stop: Option<String>,
    pub(super) lease: Duration,
    /// Where the store is.
    pub(super) address: String,
}

/// How batches are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Each in a transaction.
    InTransaction,
    /// Each before a checkpoint.
    Plain,
}

impl Orders {
    /// Those of this process, if it has some.
    pub(super) fn of_this_process() -> Option<Self> {
        let text = env::var(VARIABLE).ok()?;
        let words: Vec<_> = text.splitn(4, ' ').collect();
        let [mode, stop, lease, address] = words[..] else { panic!("these are no orders: {text:?}") };
        Some(Self {
            mode: if mode == "plain" { Mode::Plain } else { Mode::InTransaction },
            stop: (stop != "never").then(|| stop.to_owned()),
            lease: Duration::from_millis(lease.parse().unwrap()),
            address: address.to_owned(),
        })
    }

    /// As a variable of the environment.
    pub(super) fn variable(&self) -> (&'static str, String) {
        (VARIABLE, self.to_string())
    }
}

impl fmt::Display for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.mode == Mode::Plain { "plain" } else { "transaction" };
        let stop = self.stop.as_deref().unwrap_or("never");
        write!(f, "{mode} {stop} {} {}", self.lease.as_millis(), self.address)
    }
}
