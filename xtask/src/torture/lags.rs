//! How long after a commit its events were seen.

use std::{fmt, time::Duration};

/// The usual one, the one that one in a hundred exceeds, and the longest.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lags {
    pub(super) median: Duration,
    pub(super) percentile_99: Duration,
    pub(super) longest: Duration,
}

impl Lags {
    pub(super) fn of(lags: impl IntoIterator<Item = Duration>) -> Self {
        let mut lags: Vec<Duration> = lags.into_iter().collect();
        lags.sort_unstable();
        let percentile =
            |percent: usize| lags.get((lags.len() * percent / 100).min(lags.len().saturating_sub(1)));
        let percentile = |percent: usize| percentile(percent).copied().unwrap_or_default();
        Self { median: percentile(50), percentile_99: percentile(99), longest: percentile(100) }
    }

    /// The heads of the columns that it is shown in.
    pub(super) const HEAD: &str = "     p50      p99      max";
}

/// In milliseconds.
impl fmt::Display for Lags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, percentile_99, longest] =
            [self.median, self.percentile_99, self.longest].map(|lag| lag.as_secs_f64() * 1e3);
        write!(f, "{median:8.2} {percentile_99:8.2} {longest:8.2}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Lags;

    #[test]
    fn percentiles_are_of_the_sorted_lags() {
        let lags = Lags::of((0..1000).rev().map(Duration::from_millis));
        assert_eq!(
            [lags.median, lags.percentile_99, lags.longest],
            [500, 990, 999].map(Duration::from_millis)
        );
        assert_eq!(lags.to_string(), "  500.00   990.00   999.00");
        assert_eq!(Lags::of([]), Lags::default());
        let one = Duration::from_millis(3);
        assert_eq!(Lags::of([one]), Lags { median: one, percentile_99: one, longest: one });
    }
}
