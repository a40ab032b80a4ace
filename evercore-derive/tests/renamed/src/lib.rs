//! Events for aggregates of other crates. They need no serde of their own.

use es::event;

/// Somebody opened something.
#[event(crate = "es", name = "opened")]
pub struct Opened {
    /// Who.
    pub by: String,
}

/// How somebody called something, long ago.
#[event(crate = "es", name = "named")]
pub struct Labelled {
    /// The name.
    pub label: String,
}

/// Somebody closed something.
#[event(crate = "::es")]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    /// Who.
    pub closed_by: String,
}
