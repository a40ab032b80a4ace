//! How a throwaway server is set up.

use std::collections::BTreeMap;

/// Settings of a throwaway server.
///
/// Unless said otherwise, it is one that need not survive a power failure: it does not wait for disks. That
/// changes nothing of what a client or a killed server process sees.
#[derive(Debug, Clone)]
pub struct Options {
    settings: BTreeMap<String, String>,
    linger: u32,
}

impl Options {
    /// Settings for tests.
    #[must_use]
    pub fn new() -> Self {
        let settings = [
            ("max_connections", "300"),
            ("max_prepared_transactions", "10"),
            ("fsync", "off"),
            ("full_page_writes", "off"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { settings: settings.into(), linger: 5 }
    }

    /// Waits for disks as a server of production does, for measurements.
    #[must_use]
    pub fn durable(self) -> Self {
        self.with_setting("fsync", "on").with_setting("full_page_writes", "on")
    }

    /// One line of `postgresql.conf`.
    #[must_use]
    pub fn with_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
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
