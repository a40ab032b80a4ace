//! What the subscriptions of one store share.

use tokio::sync::Notify;

use super::{heartbeat::Heartbeats, lookout::Lookout, tail::Tail};

/// What the subscriptions of one store share.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    pub(super) tail: Tail,
    pub(super) heartbeats: Heartbeats,
    pub(super) lookout: Lookout,
    /// Somebody gave a subscription up.
    pub(super) released: Notify,
    /// Some cursor moved.
    pub(super) progressed: Notify,
}
