//! Times as stores keep them.

use std::fmt;

use chrono::{DateTime, SubsecRound, Utc};

/// A time in whole microseconds, the finest that every engine can store.
///
/// ```
/// use chrono::{DateTime, Utc};
/// use evercore::engine::Timestamp;
///
/// let precise: DateTime<Utc> = "2026-01-02T03:04:05.123456789Z".parse()?;
/// assert_eq!(Timestamp::from(precise).to_string(), "2026-01-02T03:04:05.123456Z");
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The time of this machine.
    #[must_use]
    pub fn now() -> Self {
        Utc::now().into()
    }

    /// The time that lies this many microseconds after 1970-01-01T00:00:00Z; `None` when it is further away
    /// than about 262,000 years.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        DateTime::from_timestamp_micros(micros).map(Self)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        // Over the number, because a leap second has none of its own: it is stored as the second after it.
        Self(
            DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or_else(|| time.trunc_subsecs(6)),
        )
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }
}
