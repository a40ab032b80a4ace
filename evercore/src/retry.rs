//! When a unit of work is run again, and how long it waits before.

use std::time::Duration;

/// How often a unit of work is run, and the pauses between.
///
/// The pause before run *n* + 1 is random between zero and `base · 2ⁿ⁻¹`, at most `cap`: "full jitter" of
/// Brooker, *Exponential Backoff And Jitter*, 2015, which spreads competitors best.
///
/// ```
/// use std::time::Duration;
/// use evercore::RetryPolicy;
///
/// let patient = RetryPolicy::default().with_attempts(50).with_cap(Duration::from_secs(1));
/// assert_eq!(RetryPolicy::none().attempts(), 1);
/// assert_eq!(patient.attempts(), 50);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    base: Duration,
    cap: Duration,
}

impl RetryPolicy {
    /// One run.
    #[must_use]
    pub const fn none() -> Self {
        Self { attempts: 1, base: Duration::ZERO, cap: Duration::ZERO }
    }

    /// At most so many runs; 0 counts as 1.
    #[must_use]
    pub const fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// The longest possible pause after the first run.
    #[must_use]
    pub const fn with_base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// The longest possible pause after any run.
    #[must_use]
    pub const fn with_cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// At most how many runs.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The pause after run `attempt` (1, 2 …); `None` when that was the last.
    pub(crate) fn pause(&self, attempt: u32) -> Option<Duration> {
        (attempt < self.attempts).then(|| self.longest_pause(attempt).mul_f64(fastrand::f64()))
    }

    fn longest_pause(&self, attempt: u32) -> Duration {
        self.base.saturating_mul(1 << (attempt - 1).min(20)).min(self.cap)
    }
}

impl Default for RetryPolicy {
    /// At most 20 runs; pauses of up to 2 ms at first and up to 250 ms later.
    fn default() -> Self {
        Self { attempts: 20, base: Duration::from_millis(2), cap: Duration::from_millis(250) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_end_with_the_attempts() {
        let policy = RetryPolicy::default().with_attempts(12);
        let longest = |attempt| policy.longest_pause(attempt).as_millis();
        assert_eq!([1, 2, 3, 8, 11].map(longest), [2, 4, 8, 250, 250]);
        assert!(policy.pause(11).is_some());
        assert_eq!(policy.pause(12), None);
    }

    #[test]
    fn pauses_are_jittered() {
        let policy = RetryPolicy::default();
        let pauses: Vec<_> = (0..20).filter_map(|_| policy.pause(10)).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(250)));
        assert!(pauses.windows(2).any(|pair| pair[0] != pair[1]), "{pauses:?}");
    }

    #[test]
    fn none_is_one_run() {
        assert_eq!(RetryPolicy::none().pause(1), None);
    }
}
