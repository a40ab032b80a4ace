//! Events for aggregates of other crates. They need no serde of their own.

use es::event;

/// Somebody opened something.
#[event(crate = "es", name = "opened")]
pub struct Opened {
    /// Who.
    pub by: String,
}

/// Somebody closed something.
#[event(crate = "::es")]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    /// Who.
    pub closed_by: String,
}
