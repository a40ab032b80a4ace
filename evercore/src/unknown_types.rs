//! Stored types that the code does not know.

use std::collections::HashSet;

use crate::{AggregateType, Error, EventStore, EventType, Registry, Result};

/// Names that a store holds and a registry does not know, from [`EventStore::unknown_types`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownTypes {
    /// The names of aggregates, sorted.
    pub aggregates: Vec<String>,
    /// The names of events, sorted.
    pub events: Vec<String>,
}

impl UnknownTypes {
    /// Whether the registry knows all types of the store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.aggregates.is_empty() && self.events.is_empty()
    }
}

impl EventStore {
    /// The types of the store that a registry does not know: neither as a name or an alias, nor as an older form,
    /// nor as an event that an aggregate ignores. One round trip.
    ///
    /// A name counts as soon as the store has given it an id, also before the first event is stored under it.
    /// An event that is known to any of the aggregates counts as known: names of events are not kept by aggregate.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn unknown_types<R: Registry>(&self) -> Result<UnknownTypes> {
        let stored = self.engine_dyn().types().await.map_err(Error::engine("list the types"))?;
        let aggregates = R::TYPES.aggregates();
        let known: HashSet<_> = aggregates.iter().flat_map(AggregateType::names).collect();
        let listed = aggregates.iter().flat_map(|aggregate| aggregate.events).flat_map(EventType::names);
        let ignored = aggregates.iter().flat_map(|aggregate| aggregate.ignored.iter().copied());
        let known_events: HashSet<_> = listed.chain(ignored).collect();
        Ok(UnknownTypes {
            aggregates: without(stored.aggregates, &known),
            events: without(stored.events, &known_events),
        })
    }
}

fn without<Id>(stored: Vec<(Id, String)>, known: &HashSet<&str>) -> Vec<String> {
    let names = stored.into_iter().map(|(_, name)| name);
    let mut unknown: Vec<_> = names.filter(|name| !known.contains(name.as_str())).collect();
    unknown.sort_unstable();
    unknown
}
