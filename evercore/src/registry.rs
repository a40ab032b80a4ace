//! Registries: all aggregates of an application, known by name.

use std::fmt;

use crate::{Aggregate, AggregateType, RecordedEvent, Result};

/// A set of aggregates that knows their names and decodes their events: the type that [`registry!`] makes,
/// and every single aggregate.
///
/// [`registry!`]: crate::registry
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a registry nor an aggregate",
    note = "put `#[derive(Aggregate)]` and `#[aggregate(events(…))]` on it, or make a registry of this name with \
            `evercore::registry!(pub {Self} {{ … }})`"
)]
pub trait Registry: 'static {
    /// One of the events of these aggregates.
    type Event: fmt::Debug + Send + Sync + 'static;

    /// The aggregates.
    const TYPES: RegisteredTypes;

    /// Decodes an event of one of these aggregates; `None` when its aggregate type or its event type is not
    /// one of them. Where that would be a mistake, [`RecordedEvent::decode`] makes an error of it. An older form
    /// is upcast, and an event that its aggregate ignores is the variant `Ignored`.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) when the payload does not have the shape of its type, or cannot be
    /// upcast.
    fn decode(event: &RecordedEvent) -> Result<Option<Self::Event>>;
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> Registry for A {
    type Event = A::Event;

    const TYPES: RegisteredTypes = RegisteredTypes::Aggregate(AggregateType::of::<A>());

    fn decode(event: &RecordedEvent) -> Result<Option<A::Event>> {
        let aggregate = AggregateType::of::<A>();
        if !aggregate.is_named(event.aggregate_type()) {
            return Ok(None);
        }
        let Some(index) = aggregate.event_index(event.event_type()) else { return Ok(None) };
        let decoded = A::decode_event(index, event.event_type(), event.payload());
        decoded.map(Some).map_err(|source| event.undecodable(source))
    }
}

/// The aggregates of a registry: a tree, because registries may contain registries.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum RegisteredTypes {
    /// One aggregate.
    Aggregate(AggregateType),
    /// Those of several registries.
    Registry(&'static [Self]),
}

impl RegisteredTypes {
    /// All aggregates, in the order in which they are written.
    #[must_use]
    pub fn aggregates(&self) -> Vec<AggregateType> {
        match self {
            Self::Aggregate(aggregate) => vec![*aggregate],
            Self::Registry(parts) => parts.iter().flat_map(Self::aggregates).collect(),
        }
    }
}

#[cfg(all(test, feature = "derive"))]
mod tests;
