//! What a unit of work has buffered.

use std::{
    any::TypeId,
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crate::{
    Aggregate, AggregateId, AggregateRef, AggregateType, Error, EventInfo, NaturalKey, Payload, Result,
    Sequence, StateAggregate, context::UnitStatus, engine::NewSnapshot, state_aggregate::SnapshotSource,
    type_cache::Binding,
};

/// The changes of a unit of work before they are committed.
#[derive(Default)]
pub(crate) struct Buffer {
    /// The aggregates that it creates, changes or requires, in the order in which engines lock them.
    pub(crate) entries: BTreeMap<AggregateId, Entry>,
    /// The new events, in the order in which they were applied.
    pub(crate) events: Vec<BufferedEvent>,
    /// The keys that it gives out. While keys are swapped two aggregates have one: the later one counts.
    keys: HashMap<TypedKey, AggregateId>,
    /// The stored keys that it takes away.
    freed: HashSet<TypedKey>,
}

/// A natural key belongs to an aggregate type, which in the code is a Rust type.
type TypedKey = (TypeId, NaturalKey);

/// One aggregate of a unit of work.
pub(crate) struct Entry {
    pub(crate) binding: Arc<Binding>,
    pub(crate) origin: Origin,
    /// The stored sequence that everything is based on.
    pub(crate) base: Sequence,
    /// The sequence with the buffered events.
    pub(crate) head: Sequence,
    /// The stored key that everything is based on.
    pub(crate) stored_key: Option<NaturalKey>,
    pub(crate) key: Option<NaturalKey>,
    pub(crate) required: bool,
    pub(crate) snapshot: Snapshot,
}

/// Where an aggregate of a unit of work comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Loaded,
    Created,
    /// Created because there was none with the key.
    LoadOrCreate,
}

/// The snapshot to write.
#[derive(Default)]
pub(crate) enum Snapshot {
    #[default]
    None,
    /// Of the state that was saved by hand.
    Saved(NewSnapshot),
    /// Of the state as it will be.
    Lent(Box<dyn SnapshotSource>),
}

/// A buffered event. Ids of types are looked up at commit.
pub(crate) struct BufferedEvent {
    pub(crate) aggregate: AggregateId,
    /// Its type, as a place in the aggregate's list.
    pub(crate) index: usize,
    pub(crate) info: EventInfo,
    pub(crate) payload: Payload,
}

/// Who has a key, as far as the unit of work has changed it.
pub(crate) enum KeyHolder {
    /// This aggregate of the unit of work.
    Buffered(AggregateId),
    /// Nobody any more.
    Freed,
    /// Whoever has it in the store.
    Stored,
}

impl Entry {
    pub(crate) fn aggregate_type(&self) -> &AggregateType {
        &self.binding.aggregate
    }

    pub(crate) fn is_new(&self) -> bool {
        self.origin != Origin::Loaded
    }

    /// Whether a commit writes anything of it; else it is at most required.
    pub(crate) fn is_written(&self) -> bool {
        self.is_new() || self.head != self.base || self.key != self.stored_key
    }

    fn loaded<A>(aggregate: &StateAggregate<A>) -> Self {
        Self {
            binding: Arc::clone(&aggregate.binding),
            origin: Origin::Loaded,
            base: aggregate.sequence,
            head: aggregate.sequence,
            stored_key: aggregate.key.clone(),
            key: aggregate.key.clone(),
            required: false,
            snapshot: Snapshot::None,
        }
    }
}

impl Buffer {
    /// Adds a new aggregate.
    pub(crate) fn create<A>(&mut self, aggregate: &StateAggregate<A>, origin: Origin) {
        let id = aggregate.id.untyped();
        if let Some(key) = &aggregate.key {
            self.keys.insert((aggregate.binding.rust_type, key.clone()), id);
        }
        self.entries.insert(id, Entry { origin, stored_key: None, ..Entry::loaded(aggregate) });
    }

    /// Refuses a copy that is not what the unit of work has of the aggregate.
    pub(crate) fn check<A: Aggregate>(
        &self,
        aggregate: &StateAggregate<A>,
        unit: &Arc<UnitStatus>,
    ) -> Result<()> {
        let is_stored = aggregate.is_stored(unit)?;
        let Some(entry) = self.entries.get(&aggregate.id.untyped()) else { return Ok(()) };
        let copy = aggregate.sequence;
        if is_stored && copy > entry.base {
            let reference = aggregate.reference();
            return Err(Error::Conflict { aggregate: reference, expected: entry.base, actual: Some(copy) });
        }
        if copy != entry.head {
            return Err(Error::StaleCopy { aggregate: aggregate.reference(), copy, current: entry.head });
        }
        Ok(())
    }

    /// The entry of an aggregate whose copy passed [`check`](Self::check).
    pub(crate) fn entry<A>(&mut self, aggregate: &StateAggregate<A>) -> &mut Entry {
        self.entries.entry(aggregate.id.untyped()).or_insert_with(|| Entry::loaded(aggregate))
    }

    /// Gives the aggregate another key.
    pub(crate) fn change_key<A>(&mut self, aggregate: &StateAggregate<A>, key: NaturalKey) {
        let id = aggregate.id.untyped();
        let rust_type = aggregate.binding.rust_type;
        let entry = self.entry(aggregate);
        let stored_key = entry.stored_key.clone();
        if let Some(old) = entry.key.replace(key.clone()) {
            let old_is_stored = stored_key.as_ref() == Some(&old);
            let old = (rust_type, old);
            if self.keys.get(&old) == Some(&id) {
                self.keys.remove(&old);
            }
            if old_is_stored {
                self.freed.insert(old);
            }
        }
        self.keys.insert((rust_type, key), id);
    }

    /// Who has this key.
    pub(crate) fn key_holder<A: 'static>(&self, key: &NaturalKey) -> KeyHolder {
        let typed_key = (TypeId::of::<A>(), key.clone());
        match self.keys.get(&typed_key) {
            Some(id) => KeyHolder::Buffered(*id),
            None if self.freed.contains(&typed_key) => KeyHolder::Freed,
            None => KeyHolder::Stored,
        }
    }

    /// Two aggregates that are left with one key. The engine sees those that the store has besides.
    pub(crate) fn check_keys(&self) -> Result<()> {
        for (id, entry) in &self.entries {
            let Some(key) = &entry.key else { continue };
            let holder = self.keys.get(&(entry.binding.rust_type, key.clone()));
            if holder.is_some_and(|holder| holder != id) {
                return Err(entry.duplicate_key(key));
            }
        }
        Ok(())
    }

    /// Replays what is buffered on top of what is stored, and makes the copy one of the unit of work.
    pub(crate) fn overlay<A: Aggregate>(
        &self,
        aggregate: &mut StateAggregate<A>,
        unit: &Arc<UnitStatus>,
    ) -> Result<()> {
        let id = aggregate.id.untyped();
        let Some(entry) = self.entries.get(&id) else { return Ok(()) };
        if aggregate.sequence != entry.base {
            return Err(Error::Conflict {
                aggregate: aggregate.reference(),
                expected: entry.base,
                actual: Some(aggregate.sequence),
            });
        }
        for buffered in self.events.iter().filter(|event| event.aggregate == id) {
            let event = A::decode_event(buffered.index, &buffered.payload).map_err(|source| {
                let event_type = A::EVENTS[buffered.index].name;
                Error::decode(A::NAME, id, buffered.info.sequence, event_type, source)
            })?;
            aggregate.replay_event(&event, &buffered.info);
        }
        aggregate.key.clone_from(&entry.key);
        aggregate.unit = Some(Arc::clone(unit));
        Ok(())
    }
}

impl Entry {
    pub(crate) fn reference(&self, id: AggregateId) -> AggregateRef {
        AggregateRef::new(self.aggregate_type().name, id)
    }

    pub(crate) fn duplicate_key(&self, key: &NaturalKey) -> Error {
        Error::DuplicateKey {
            aggregate_type: self.aggregate_type().name,
            key: key.clone(),
            load_or_create: self.origin == Origin::LoadOrCreate,
        }
    }
}
