//! What a unit of work has buffered.

use std::{
    any::TypeId,
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crate::{
    Aggregate, AggregateId, AggregateRef, AggregateType, AggregateTypeId, Error, EventInfo, NaturalKey,
    Payload, Result, Sequence, StateAggregate, context::UnitStatus, engine::NewSnapshot,
    state_aggregate::SnapshotSource, type_cache::Binding,
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
    /// The type under which it is stored, or will be.
    pub(crate) type_id: Option<AggregateTypeId>,
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
    /// The name under which it is stored: that of its type, or of an older form.
    pub(crate) name: &'static str,
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
            type_id: aggregate.type_id,
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
    /// Adds a new aggregate. When it is to be loaded if there is one, and another task of the unit of work
    /// has given out its key meanwhile, nothing is added and the answer is who has it.
    pub(crate) fn create<A>(&mut self, aggregate: &StateAggregate<A>, origin: Origin) -> Option<AggregateId> {
        let id = aggregate.id.untyped();
        if let Some(key) = &aggregate.key {
            let key = (aggregate.binding.rust_type, key.clone());
            if origin == Origin::LoadOrCreate && self.keys.contains_key(&key) {
                return self.keys.get(&key).copied();
            }
            self.keys.insert(key, id);
        }
        self.entries.insert(id, Entry { origin, stored_key: None, ..Entry::loaded(aggregate) });
        None
    }

    /// Refuses a copy that is not what the unit of work has of the aggregate.
    pub(crate) fn check<A: Aggregate>(
        &self,
        aggregate: &StateAggregate<A>,
        unit: &Arc<UnitStatus>,
    ) -> Result<()> {
        let is_stored = aggregate.is_stored(unit)?;
        let Some(entry) = self.entries.get(&aggregate.id.untyped()) else { return Ok(()) };
        entry.check_type::<A>(aggregate.id.untyped())?;
        let copy = aggregate.sequence;
        if is_stored && (copy > entry.base || copy == entry.base && aggregate.key != entry.stored_key) {
            let reference = aggregate.reference();
            return Err(Error::Conflict { aggregate: reference, expected: entry.base, actual: Some(copy) });
        }
        if copy != entry.head || aggregate.key != entry.key {
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
                // It may have been given to another one before.
                if let Some(other) = self.other_with_key(&old) {
                    self.keys.insert(old.clone(), other);
                }
            }
            if old_is_stored {
                self.freed.insert(old);
            }
        }
        self.keys.insert((rust_type, key), id);
    }

    fn other_with_key(&self, (rust_type, key): &TypedKey) -> Option<AggregateId> {
        let has_key =
            |entry: &Entry| entry.binding.rust_type == *rust_type && entry.key.as_ref() == Some(key);
        self.entries.iter().find(|(_, entry)| has_key(entry)).map(|(id, _)| *id)
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

    /// Two aggregates to which the unit of work gave one key. The engine sees those that the store has besides.
    pub(crate) fn check_keys(&self) -> Result<()> {
        for (id, entry) in self.entries.iter().filter(|(_, entry)| entry.key != entry.stored_key) {
            let Some(key) = &entry.key else { continue };
            let holder = self.keys.get(&(entry.binding.rust_type, key.clone()));
            if holder.is_some_and(|holder| holder != id) {
                // Running again does not help, wherever the aggregate came from.
                return Err(entry.duplicate_key(key, Origin::Created));
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
        entry.check_type::<A>(id)?;
        if aggregate.sequence != entry.base || aggregate.key != entry.stored_key {
            return Err(Error::Conflict {
                aggregate: aggregate.reference(),
                expected: entry.base,
                actual: Some(aggregate.sequence),
            });
        }
        for buffered in self.events.iter().filter(|event| event.aggregate == id) {
            let event =
                A::decode_event(buffered.index, buffered.name, &buffered.payload).map_err(|source| {
                    Error::decode(A::NAME, id, buffered.info.sequence, buffered.name, source)
                })?;
            aggregate.replay_event(&event, &buffered.info);
        }
        if entry.is_written() {
            aggregate.key.clone_from(&entry.key);
            aggregate.unit = Some(Arc::clone(unit));
        }
        Ok(())
    }
}

impl Entry {
    pub(crate) fn reference(&self, id: AggregateId) -> AggregateRef {
        AggregateRef::new(self.aggregate_type().name, id)
    }

    /// Refuses another Rust type than the one as which the unit of work has the aggregate: places in the list
    /// of events and holders of keys are those of one type.
    pub(crate) fn check_type<A: Aggregate>(&self, id: AggregateId) -> Result<()> {
        if self.binding.rust_type == TypeId::of::<A>() {
            return Ok(());
        }
        Err(Error::WrongType { id, expected: A::NAME, actual: self.aggregate_type().name.to_owned() })
    }

    pub(crate) fn duplicate_key(&self, key: &NaturalKey, origin: Origin) -> Error {
        Error::DuplicateKey {
            aggregate_type: self.aggregate_type().name,
            key: key.clone(),
            load_or_create: origin == Origin::LoadOrCreate,
        }
    }
}
