//! Names and ids of types, cached for every engine in the same way.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    Aggregate, AggregateType, AggregateTypeId, EventType, EventTypeId,
    engine::{AnyEngine, EngineError, EventFilter, StoredEvent, TypeCatalog, TypeNames},
};

/// An aggregate of the code and its types in the store.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) rust_type: TypeId,
    pub(crate) aggregate: AggregateType,
    /// The ids of its name and aliases, as far as the store knows them. The first is the one to write.
    type_ids: Vec<AggregateTypeId>,
    /// The ids of its events, by their place in the aggregate's list, as far as the store knows them.
    event_ids: Vec<Option<EventTypeId>>,
    /// The reverse, with the names: also aliases, those of older forms, and of events that are passed over.
    events: HashMap<EventTypeId, (usize, &'static str)>,
    /// Whether the store knows all names under which events may be written.
    has_event_ids: bool,
}

impl Binding {
    /// The id under which new aggregates are written and keys are found.
    pub(crate) fn type_id(&self) -> Option<AggregateTypeId> {
        self.type_ids.first().copied()
    }

    pub(crate) fn is_of_type(&self, type_id: AggregateTypeId) -> bool {
        self.type_ids.contains(&type_id)
    }

    /// The id under which an event is written: of the type at this place, or of an older form of it.
    pub(crate) fn event_id(&self, index: usize, name: &str) -> Option<EventTypeId> {
        if self.aggregate.events[index].name == name {
            return self.event_ids[index];
        }
        self.events.iter().find(|(_, (_, stored))| *stored == name).map(|(id, _)| *id)
    }

    /// Which event of the aggregate is stored under this id: its place in the list, and the name.
    pub(crate) fn event(&self, event_type: EventTypeId) -> Option<(usize, &'static str)> {
        self.events.get(&event_type).copied()
    }

    fn is_complete(&self) -> bool {
        !self.type_ids.is_empty() && self.has_event_ids
    }
}

/// What is known of the store's types. Ids never change, so what is known stays true; what is missing may
/// have been defined by another process since.
#[derive(Debug, Default)]
pub(crate) struct TypeCache(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    aggregates: Names<AggregateTypeId>,
    events: Names<EventTypeId>,
    bindings: HashMap<TypeId, Arc<Binding>>,
}

#[derive(Debug)]
struct Names<Id> {
    ids: HashMap<Arc<str>, Id>,
    names: HashMap<Id, Arc<str>>,
}

impl<Id> Default for Names<Id> {
    fn default() -> Self {
        Self { ids: HashMap::new(), names: HashMap::new() }
    }
}

impl<Id: Copy + Eq + std::hash::Hash> Names<Id> {
    fn replace(&mut self, catalog: Vec<(Id, String)>) {
        for (id, name) in catalog {
            let name: Arc<str> = name.into();
            self.ids.insert(Arc::clone(&name), id);
            self.names.insert(id, name);
        }
    }

    fn id(&self, name: &str) -> Option<Id> {
        self.ids.get(name).copied()
    }
}

impl TypeCache {
    /// Learns all types of the store, and defines those of the given aggregates that it lacks.
    pub(crate) async fn define(
        &self,
        engine: &dyn AnyEngine,
        aggregates: &[AggregateType],
    ) -> Result<(), EngineError> {
        self.refresh(engine).await?;
        let missing = self.missing(aggregates);
        if missing != TypeNames::default() {
            self.learn(engine.define_types(&missing).await?);
        }
        Ok(())
    }

    /// Learns all types of the store.
    pub(crate) async fn refresh(&self, engine: &dyn AnyEngine) -> Result<(), EngineError> {
        self.learn(engine.types().await?);
        Ok(())
    }

    /// The binding of `A` for reading: what the store does not know, nobody can have written.
    pub(crate) async fn to_read<A: Aggregate>(
        &self,
        engine: &dyn AnyEngine,
    ) -> Result<Arc<Binding>, EngineError> {
        let binding = self.binding(TypeId::of::<A>(), AggregateType::of::<A>());
        if binding.type_id().is_some() {
            return Ok(binding);
        }
        self.refresh(engine).await?;
        Ok(self.binding(TypeId::of::<A>(), AggregateType::of::<A>()))
    }

    /// The binding for writing, with ids for all names.
    pub(crate) async fn to_write(
        &self,
        engine: &dyn AnyEngine,
        rust_type: TypeId,
        aggregate: AggregateType,
    ) -> Result<Arc<Binding>, EngineError> {
        let binding = self.binding(rust_type, aggregate);
        if binding.is_complete() {
            return Ok(binding);
        }
        self.define(engine, &[aggregate]).await?;
        Ok(self.binding(rust_type, aggregate))
    }

    /// Whether names of the aggregate are to be defined before it can be written.
    pub(crate) fn lacks(&self, aggregate: AggregateType) -> bool {
        self.missing(&[aggregate]) != TypeNames::default()
    }

    /// Both names of an event, if both are known.
    pub(crate) fn names(
        &self,
        aggregate: AggregateTypeId,
        event: EventTypeId,
    ) -> Option<(Arc<str>, Arc<str>)> {
        self.read(|known| {
            Some((known.aggregates.names.get(&aggregate).cloned()?, known.events.names.get(&event).cloned()?))
        })
    }

    /// What lets through the events that have one of the names of each kind, if there are any names of it; `None` while
    /// no stored event can have one.
    pub(crate) fn filter<'a>(
        &self,
        aggregates: impl Iterator<Item = &'a str>,
        events: impl Iterator<Item = &'a str>,
    ) -> Option<EventFilter> {
        Some(EventFilter {
            aggregate_types: ids(aggregates, |name| self.aggregate_id(name)).ok()?,
            event_types: ids(events, |name| self.event_id(name)).ok()?,
            aggregate: None,
        })
    }

    pub(crate) fn aggregate_name(&self, id: AggregateTypeId) -> Option<Arc<str>> {
        self.read(|known| known.aggregates.names.get(&id).cloned())
    }

    pub(crate) fn event_name(&self, id: EventTypeId) -> Option<Arc<str>> {
        self.read(|known| known.events.names.get(&id).cloned())
    }

    pub(crate) fn aggregate_id(&self, name: &str) -> Option<AggregateTypeId> {
        self.read(|known| known.aggregates.id(name))
    }

    pub(crate) fn event_id(&self, name: &str) -> Option<EventTypeId> {
        self.read(|known| known.events.id(name))
    }

    /// Whether the types of these events have names here.
    pub(crate) fn knows_types_of(&self, events: &[StoredEvent]) -> bool {
        self.read(|known| {
            events.iter().all(|event| {
                known.aggregates.names.contains_key(&event.aggregate_type)
                    && known.events.names.contains_key(&event.event_type)
            })
        })
    }

    fn binding(&self, rust_type: TypeId, aggregate: AggregateType) -> Arc<Binding> {
        if let Some(binding) = self.read(|known| known.bindings.get(&rust_type).cloned()) {
            return binding;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let binding = Arc::new(known.bind(rust_type, aggregate));
        known.bindings.insert(rust_type, Arc::clone(&binding));
        binding
    }

    /// The names that the store lacks. Aliases too: a process of an older version may use them at any time, and
    /// filters of the log have to know their ids by then.
    fn missing(&self, aggregates: &[AggregateType]) -> TypeNames {
        self.read(|known| {
            let mut names = TypeNames::default();
            for aggregate in aggregates {
                let is_under_alias =
                    known.aggregates.id(aggregate.name).is_none() && !known.type_ids(aggregate).is_empty();
                if !is_under_alias {
                    let undefined = aggregate.names().filter(|name| known.aggregates.id(name).is_none());
                    names.aggregates.extend(undefined.map(str::to_owned));
                }
                let events = aggregate.events.iter().flat_map(EventType::names);
                let undefined = events.filter(|name| known.events.id(name).is_none());
                names.events.extend(undefined.map(str::to_owned));
            }
            // An event may be listed by several aggregates.
            for names in [&mut names.aggregates, &mut names.events] {
                names.sort_unstable();
                names.dedup();
            }
            names
        })
    }

    fn learn(&self, catalog: TypeCatalog) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.aggregates.replace(catalog.aggregates);
        known.events.replace(catalog.events);
        known.bindings.clear();
    }

    fn read<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    /// An aggregate that is stored under an alias stays there: its keys and ids belong to that type.
    fn type_ids(&self, aggregate: &AggregateType) -> Vec<AggregateTypeId> {
        aggregate.names().filter_map(|name| self.aggregates.id(name)).collect()
    }

    fn bind(&self, rust_type: TypeId, aggregate: AggregateType) -> Binding {
        let event_ids = aggregate.events.iter().map(|event| self.events.id(event.name)).collect();
        let listed = aggregate.events.iter().map(EventType::names).enumerate();
        let listed = listed.flat_map(|(index, names)| names.into_iter().map(move |name| (index, name)));
        let listed: Vec<_> = listed.collect();
        let has_event_ids = listed.iter().all(|(_, name)| self.events.id(name).is_some());
        let ignored = aggregate.ignored.iter().map(|name| (aggregate.events.len(), *name));
        let events = listed.into_iter().chain(ignored);
        let events = events.filter_map(|event| Some((self.events.id(event.1)?, event))).collect();
        let type_ids = self.type_ids(&aggregate);
        Binding { rust_type, aggregate, type_ids, event_ids, events, has_event_ids }
    }
}

/// None of the wanted names is known.
struct NothingKnown;

/// The ids that these names have so far; no list when there are no names.
fn ids<'a, T>(
    names: impl Iterator<Item = &'a str>,
    id: impl Fn(&str) -> Option<T>,
) -> Result<Option<Arc<[T]>>, NothingKnown> {
    let mut names = names.peekable();
    if names.peek().is_none() {
        return Ok(None);
    }
    let ids: Arc<[_]> = names.filter_map(id).collect();
    if ids.is_empty() { Err(NothingKnown) } else { Ok(Some(ids)) }
}
