//! Waiting for an engine that cannot do something at this moment.

use std::time::Duration;

use super::delivery::with_causes;
use crate::{Error, RetryPolicy};

/// Pauses of up to a tenth of a second at first and up to five later, without end.
const PAUSES: RetryPolicy = RetryPolicy::none()
    .with_attempts(u32::MAX)
    .with_base(Duration::from_millis(100))
    .with_cap(Duration::from_secs(5));

/// Counts how often the store could not do something.
#[derive(Debug, Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// How long to wait before the store is asked again.
    pub(super) fn pause(&mut self, error: &Error) -> Duration {
        self.0 = self.0.saturating_add(1);
        let pause = PAUSES.pause(self.0).unwrap_or_default();
        tracing::warn!(error = with_causes(error), ?pause, "a subscription waits for the store");
        pause
    }

    /// Begins anew, because the store could.
    pub(super) fn renew(&mut self) {
        self.0 = 0;
    }
}

/// The outcome of a future, which is made anew as long as it fails for a reason that passes: a lost connection,
/// a busy store. (A function that took an async closure would make futures that cannot be proven to be `Send`.)
macro_rules! patiently {
    ($work:expr) => {{
        let mut patience = $crate::subscription::patience::Patience::default();
        loop {
            match $work.await {
                Err(error) if error.is_temporary() => {
                    let pause = patience.pause(&error);
                    tokio::time::sleep(pause).await;
                }
                outcome => break outcome,
            }
        }
    }};
}

pub(super) use patiently;
