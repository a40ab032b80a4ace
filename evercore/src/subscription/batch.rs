//! What handlers get.

use std::{ops::Deref, vec};

use crate::{Position, RecordedEvent};

/// Events in the order of the log, at least one.
///
/// `T` is [`RecordedEvent`], or [`Decoded`] when the subscription says what to decode them by.
#[derive(Debug, Clone)]
pub struct Batch<T> {
    events: Vec<T>,
    end: Position,
    attempt: u32,
}

impl<T> Batch<T> {
    pub(super) fn new(events: Vec<T>, end: Position, attempt: u32) -> Self {
        Self { events, end, attempt }
    }

    /// Where the subscription is when the batch is handled: at its last event, or after it where the filter
    /// held back what follows.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// How often these events are delivered with this time, by this owner, together or with others: 1, 2, 3 …
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl<T> Deref for Batch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.events
    }
}

impl<T> IntoIterator for Batch<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Batch<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.iter()
    }
}

/// An event and what it was decoded from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Decoded<E> {
    /// The event: one of an aggregate (`UserEvent`) or of a registry (`DomainEvent`).
    pub event: E,
    /// What is known about it: position, aggregate, time, reference, metadata.
    pub recorded: RecordedEvent,
}
