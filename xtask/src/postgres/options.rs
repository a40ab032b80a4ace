//! How a throwaway server is set up.

use std::collections::BTreeMap;

/// What makes a server slower and its data outlive a power failure, which no test looks at.
const WITHOUT_DURABILITY: [(&str, &str); 4] = [
    ("fsync", "off"),
    ("full_page_writes", "off"),
    // Creating a database writes a good part of a log file; these two halve the time.
    ("wal_init_zero", "off"),
    ("wal_recycle", "off"),
];

/// Settings of a throwaway server.
///
/// Unless said otherwise, it does not wait for disks. That changes nothing of what a client sees, or what is
/// left of its data when a process of the server is killed.
#[derive(Debug, Clone)]
pub struct Options {
    settings: BTreeMap<String, String>,
    linger: u32,
    primary: Option<Primary>,
}

/// Whose copy a server is.
#[derive(Debug, Clone)]
pub(super) struct Primary {
    /// How to connect to it.
    pub(super) connection: String,
    /// Accounts are copied, too.
    pub(super) password: String,
}

impl Options {
    /// Settings for tests.
    #[must_use]
    pub fn new() -> Self {
        let options = Self { settings: BTreeMap::new(), linger: 5, primary: None };
        let options =
            options.with_setting("max_connections", "300").with_setting("max_prepared_transactions", "10");
        WITHOUT_DURABILITY.iter().fold(options, |options, (name, value)| options.with_setting(*name, *value))
    }

    /// Waits for disks as a server does that nobody has set up, for measurements.
    #[must_use]
    pub fn durable(mut self) -> Self {
        for (name, _) in WITHOUT_DURABILITY {
            self.settings.remove(name);
        }
        self
    }

    /// One line of `postgresql.conf`.
    #[must_use]
    pub fn with_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Not a new server, but a standby of another.
    pub(super) fn with_primary(mut self, primary: Primary) -> Self {
        self.primary = Some(primary);
        self
    }

    pub(super) fn primary(&self) -> Option<&Primary> {
        self.primary.as_ref()
    }

    /// How many seconds a shared server outlives its last user.
    #[cfg(test)]
    pub(super) fn with_linger(mut self, seconds: u32) -> Self {
        self.linger = seconds;
        self
    }

    pub(super) fn linger(&self) -> u32 {
        self.linger
    }

    /// As lines of `postgresql.conf`.
    pub(super) fn lines(&self) -> String {
        let quoted = |value: &String| value.replace('\'', "''");
        self.settings.iter().map(|(name, value)| format!("{name} = '{}'\n", quoted(value))).collect()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
