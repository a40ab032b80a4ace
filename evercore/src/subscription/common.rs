//! What durable and ephemeral subscriptions have in common in their builders.

use std::time::Duration;

use super::{OnFailure, delivery::DeliveryOptions, shutdown::Shutdown};
use crate::RetryPolicy;

/// How events are delivered.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) options: DeliveryOptions,
    pub(super) poll_interval: Duration,
    pub(super) shutdown: Shutdown,
}

impl Default for Common {
    fn default() -> Self {
        let retry = RetryPolicy::none()
            .with_attempts(10)
            .with_base(Duration::from_millis(100))
            .with_cap(Duration::from_secs(10));
        Self {
            options: DeliveryOptions { batch_size: 100, retry, on_failure: OnFailure::Stop },
            poll_interval: Duration::from_secs(1),
            shutdown: Shutdown::never(),
        }
    }
}

/// The methods by which a builder with a field `filter` says which events it is for, and with a field `common` how
/// they are delivered.
macro_rules! common_methods {
    () => {
        /// Only events of aggregates of this type; given several times, of any of the types.
        pub fn aggregate<A: crate::Aggregate>(mut self) -> Self {
            self.filter = self.filter.aggregate::<A>();
            self
        }

        /// Only events of this type, under its name and aliases; given several times, of any of the types.
        pub fn event<E: crate::Event>(mut self) -> Self {
            self.filter = self.filter.event::<E>();
            self
        }

        /// Only events of the aggregate with this id.
        pub fn id<A>(mut self, id: crate::AggregateId<A>) -> Self {
            self.filter = self.filter.id(id);
            self
        }

        /// Only events of the aggregate that has this natural key now. It is followed whatever its key becomes.
        pub fn key<A: crate::Aggregate>(mut self, key: impl Into<String>) -> Self {
            self.filter = self.filter.key::<A>(key);
            self
        }

        /// At most so many events in a batch, 100 by default; 0 counts as 1.
        pub fn batch_size(mut self, events: u32) -> Self {
            self.common.options.batch_size = events.max(1);
            self
        }

        /// How often to look for new events besides being woken by commits, every second by default. It is what
        /// notices the commits of other processes where the engine cannot hear of them.
        pub fn poll_interval(mut self, interval: std::time::Duration) -> Self {
            self.common.poll_interval = interval.max(std::time::Duration::from_millis(1));
            self
        }

        /// How often a batch is delivered that the handler cannot handle, and the pauses between: by default ten
        /// times within about half a minute. After that its events are delivered one by one, each as often.
        pub fn retry(mut self, policy: crate::RetryPolicy) -> Self {
            self.common.options.retry = policy;
            self
        }

        /// Ends in good order when the future is done: finishes the batch in hand, and keeps how far it came.
        /// `CancellationToken::cancelled_owned` of `tokio-util` is such a future.
        pub fn until(mut self, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
            self.common.shutdown = super::shutdown::Shutdown::when(shutdown);
            self
        }
    };
}

pub(super) use common_methods;
