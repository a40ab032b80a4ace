//! How far a unit of work is.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Shared by a unit of work and the copies of aggregates that contain its changes.
#[derive(Debug, Default)]
pub(crate) struct UnitStatus {
    status: AtomicU8,
    wants_retry: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Changes are buffered.
    Open,
    /// A commit is under way, failed, was given up, or its fate is unknown.
    Closed,
    /// The changes are in the store.
    Committed,
}

impl UnitStatus {
    pub(crate) fn get(&self) -> Status {
        match self.status.load(Ordering::Acquire) {
            0 => Status::Open,
            1 => Status::Closed,
            _ => Status::Committed,
        }
    }

    pub(crate) fn set(&self, status: Status) {
        self.status.store(status as u8, Ordering::Release);
    }

    pub(crate) fn note_retry(&self) {
        self.wants_retry.store(true, Ordering::Relaxed);
    }

    pub(crate) fn wants_retry(&self) -> bool {
        self.wants_retry.load(Ordering::Relaxed)
    }
}
