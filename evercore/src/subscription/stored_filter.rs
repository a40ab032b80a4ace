//! The filter of a subscription as it is stored with it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    AggregateId, AggregateType, EventStore, EventType, LogFilter, Result,
    engine::EventFilter,
    filter::{One, Selection},
};

/// A filter by names. Two of them are the same when they let the same events through, whatever aliases are used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredFilter {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aggregates: Vec<Names>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<Names>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aggregate: Option<StoredAggregate>,
}

/// The name of a type, and its aliases.
type Names = Vec<String>;

/// The one aggregate that is followed, and the key by which it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredAggregate {
    id: AggregateId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<(String, String)>,
}

impl StoredFilter {
    /// The stored form of a filter. A natural key is looked up here, once.
    pub(super) async fn of(filter: &LogFilter, store: &EventStore) -> Result<Self> {
        let key = match &filter.one {
            Some(One::Key(aggregate, key)) => Some((aggregate.name.to_owned(), key.clone())),
            Some(One::Id(_)) | None => None,
        };
        let aggregate = Selection::new(store.clone(), filter.clone()).find_aggregate().await?;
        Ok(Self::with(filter, aggregate.map(|id| StoredAggregate { id, key })))
    }

    /// What [is of](Self::is_of) a filter, under the names that it has there.
    pub(super) fn renamed(self, filter: &LogFilter) -> Self {
        Self::with(filter, self.aggregate)
    }

    fn with(filter: &LogFilter, aggregate: Option<StoredAggregate>) -> Self {
        Self {
            aggregates: sorted(filter.aggregates.iter().map(|aggregate| owned(aggregate.names()))),
            events: sorted(filter.events.iter().map(|event| owned(event.names()))),
            aggregate,
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("names and numbers have a JSON form")
    }

    /// The filter with the ids of its types; `None` while no stored event can match.
    pub(super) async fn resolve(&self, store: &EventStore) -> Result<Option<EventFilter>> {
        let types = store.types();
        let is_known = names(&self.aggregates).all(|name| types.aggregate_id(name).is_some())
            && names(&self.events).all(|name| types.event_id(name).is_some());
        if !is_known {
            store.refresh_types().await?;
        }
        let aggregate = self.aggregate.as_ref().map(|aggregate| aggregate.id);
        let filter = types.filter(names(&self.aggregates), names(&self.events));
        Ok(filter.map(|filter| EventFilter { aggregate, ..filter }))
    }

    /// Whether this is what `filter` asks for.
    pub(super) fn is_of(&self, filter: &LogFilter) -> bool {
        let is_one = match (&self.aggregate, &filter.one) {
            (None, None) => true,
            (Some(stored), Some(One::Id(id))) => stored.id == *id,
            (Some(StoredAggregate { key: Some((name, stored)), .. }), Some(One::Key(aggregate, key))) => {
                aggregate.is_named(name) && stored == key
            }
            _ => false,
        };
        is_one
            && is_same(&self.aggregates, &filter.aggregates, AggregateType::is_named)
            && is_same(&self.events, &filter.events, EventType::is_named)
    }

    /// The filter with the one aggregate that was found by its key when the subscription was defined.
    pub(super) fn follow(&self, mut filter: LogFilter) -> LogFilter {
        if let Some(stored) = &self.aggregate {
            filter.one = Some(One::Id(stored.id));
        }
        filter
    }
}

impl fmt::Display for StoredFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = self.aggregate.as_ref().map(|one| match &one.key {
            Some((name, key)) => format!("the {name} with the key {key:?} (aggregate {})", one.id),
            None => format!("aggregate {}", one.id),
        });
        f.write_str(&sentence(firsts(&self.aggregates), firsts(&self.events), one))
    }
}

/// A filter in the same words.
pub(super) fn describe(filter: &LogFilter) -> String {
    let one = filter.one.as_ref().map(|one| match one {
        One::Key(aggregate, key) => format!("the {} with the key {key:?}", aggregate.name),
        One::Id(id) => format!("aggregate {id}"),
    });
    let aggregates = filter.aggregates.iter().map(|aggregate| aggregate.name).collect();
    sentence(aggregates, filter.events.iter().map(|event| event.name).collect(), one)
}

fn sentence(aggregates: Vec<&str>, events: Vec<&str>, one: Option<String>) -> String {
    let list = |what: &str, mut names: Vec<&str>| {
        names.sort_unstable();
        names.dedup();
        (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
    };
    let parts: Vec<_> =
        [list("aggregates of", aggregates), list("events", events), one].into_iter().flatten().collect();
    if parts.is_empty() { "all events".to_owned() } else { parts.join("; ") }
}

fn names(types: &[Names]) -> impl Iterator<Item = &str> {
    types.iter().flatten().map(String::as_str)
}

fn firsts(types: &[Names]) -> Vec<&str> {
    types.iter().filter_map(|names| names.first()).map(String::as_str).collect()
}

/// Whether each stored type is one of the wanted ones, and the other way round. A wanted type may have more names than
/// were stored. One that has fewer belongs to an older version of the application, which would pass over events.
fn is_same<T>(stored: &[Names], wanted: &[T], is_named: impl Fn(&T, &str) -> bool) -> bool {
    let is_one = |names: &Names, wanted: &T| names.iter().all(|name| is_named(wanted, name));
    stored.iter().all(|names| wanted.iter().any(|wanted| is_one(names, wanted)))
        && wanted.iter().all(|wanted| stored.iter().any(|names| is_one(names, wanted)))
}

fn owned(names: impl IntoIterator<Item = &'static str>) -> Names {
    names.into_iter().map(str::to_owned).collect()
}

fn sorted(types: impl Iterator<Item = Names>) -> Vec<Names> {
    let mut types: Vec<_> = types.collect();
    types.sort_unstable();
    types.dedup();
    types
}
