//! The operations of a unit of work that read.

use std::sync::Arc;

use super::{Context, buffer::KeyHolder};
use crate::{
    Aggregate, AggregateId, AggregateRef, Error, History, NaturalKey, Result, Sequence, StateAggregate,
    engine::{Load, LoadTarget, SnapshotUse},
    type_cache::Binding,
};

impl<Mode> Context<Mode> {
    /// Loads the aggregate with this id.
    ///
    /// One round trip. It starts from the aggregate's snapshot when there is one that fits.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::WrongType`]; [`Error::UnknownEventType`] and [`Error::Decode`] when the
    /// code does not understand what is stored, [`Error::Damaged`] when that contradicts itself;
    /// [`Error::Conflict`] when the unit of work has changed the
    /// aggregate and somebody else has too; [`Error::ContextClosed`]; [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn load<A: Aggregate>(&self, id: AggregateId<A>) -> Result<StateAggregate<A>> {
        let mut found = self.load_states(&[id]).await?;
        found.pop().flatten().ok_or_else(|| Error::NotFound(AggregateRef::new(A::NAME, id)))
    }

    /// Loads the aggregates with these ids, in the same order, in one round trip.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), for the first of them that fails.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn load_many<A: Aggregate>(&self, ids: &[AggregateId<A>]) -> Result<Vec<StateAggregate<A>>> {
        let found = self.load_states(ids).await?;
        let missing = |id: &AggregateId<A>| Error::NotFound(AggregateRef::new(A::NAME, *id));
        ids.iter().zip(found).map(|(id, found)| found.ok_or_else(|| missing(id))).collect()
    }

    /// Loads the aggregate with this natural key.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and [`Error::InvalidText`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn load_by_key<A: Aggregate>(
        &self,
        key: impl TryInto<NaturalKey, Error: Into<Error>> + Send,
    ) -> Result<StateAggregate<A>> {
        let key = key.try_into().map_err(Into::into)?;
        let found = self.find_state(&key).await;
        self.noted(found)?.ok_or_else(|| Error::NotFound(AggregateRef::with_key(A::NAME, &key)))
    }

    /// The id of the aggregate with this natural key.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidText`], [`Error::ContextClosed`], [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn find_by_key<A: Aggregate>(
        &self,
        key: impl TryInto<NaturalKey, Error: Into<Error>> + Send,
    ) -> Result<Option<AggregateId<A>>> {
        let key = key.try_into().map_err(Into::into)?;
        let holder = self.buffer()?.key_holder::<A>(&key);
        match holder {
            KeyHolder::Buffered(id) => Ok(Some(id.typed())),
            KeyHolder::Freed => Ok(None),
            KeyHolder::Stored => {
                let found = self.store.find_by_key::<A>(&key).await;
                self.noted(found)
            }
        }
    }

    /// Whether there is an aggregate with this natural key.
    ///
    /// # Errors
    ///
    /// As [`find_by_key`](Self::find_by_key).
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn exists_by_key<A: Aggregate>(
        &self,
        key: impl TryInto<NaturalKey, Error: Into<Error>> + Send,
    ) -> Result<bool> {
        Ok(self.find_by_key::<A>(key).await?.is_some())
    }

    /// The ids of the stored aggregates of a type, in their order: at most `limit` of those after `after`.
    /// What the unit of work creates is not among them.
    ///
    /// # Errors
    ///
    /// [`Error::ContextClosed`], [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn ids<A: Aggregate>(
        &self,
        after: Option<AggregateId<A>>,
        limit: u32,
    ) -> Result<Vec<AggregateId<A>>> {
        self.check_open()?;
        let ids = self.store.ids(after, limit).await;
        self.noted(ids)
    }

    /// All that is stored of an aggregate, undecoded. What the unit of work has buffered is not part of it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::ContextClosed`], [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn history<A>(&self, id: AggregateId<A>) -> Result<History> {
        self.check_open()?;
        let history = self.store.history(id.untyped()).await;
        self.noted(history)
    }

    /// The aggregate with this key, if there is one.
    pub(super) async fn find_state<A: Aggregate>(
        &self,
        key: &NaturalKey,
    ) -> Result<Option<StateAggregate<A>>> {
        let holder = self.buffer()?.key_holder::<A>(key);
        match holder {
            KeyHolder::Buffered(id) => Ok(Some(self.load(id.typed()).await?)),
            KeyHolder::Freed => Ok(None),
            KeyHolder::Stored => {
                let binding = self.store.binding_to_read::<A>().await?;
                let Some(type_id) = binding.type_id() else { return Ok(None) };
                let target = LoadTarget::Key(type_id, key.clone());
                let found = self.store.load_states(binding, vec![target]).await?.pop().flatten();
                self.with_changes(found)
            }
        }
    }

    /// What is known of an aggregate without its state: type, key, version.
    pub(super) async fn outline<A: Aggregate>(&self, id: AggregateId<A>) -> Result<StateAggregate<A>> {
        let binding = self.store.binding_to_read::<A>().await?;
        let load = Load {
            target: LoadTarget::Id(id.untyped()),
            snapshot: SnapshotUse::Ignore,
            after: Sequence::new(i64::MAX),
            limit: 1,
        };
        let found = self.store.load_stored(&binding, &[load]).await?.pop().flatten();
        let found = found.ok_or_else(|| Error::NotFound(AggregateRef::new(A::NAME, id)))?;
        let mut outline = StateAggregate::new(id, found.key, found.version, binding, A::default());
        outline.type_id = Some(found.type_id);
        Ok(outline)
    }

    async fn load_states<A: Aggregate>(
        &self,
        ids: &[AggregateId<A>],
    ) -> Result<Vec<Option<StateAggregate<A>>>> {
        let created: Vec<_> = {
            let buffer = self.buffer()?;
            ids.iter()
                .map(|id| {
                    buffer
                        .entries
                        .get(&id.untyped())
                        .filter(|entry| entry.is_new())
                        .map(|entry| Arc::clone(&entry.binding))
                })
                .collect()
        };
        let stored = ids.iter().zip(&created).filter(|(_, created)| created.is_none());
        let targets: Vec<_> = stored.map(|(id, _)| LoadTarget::Id(id.untyped())).collect();
        let mut stored = Vec::new();
        if !targets.is_empty() {
            let binding = self.store.binding_to_read::<A>().await;
            let loaded = self.store.load_states(self.noted(binding)?, targets).await;
            stored = self.noted(loaded)?;
        }
        let mut stored = stored.into_iter();
        let states = ids.iter().zip(created).map(|(id, created)| match created {
            Some(binding) => self.created(*id, binding).map(Some),
            None => self.with_changes(stored.next().flatten()),
        });
        self.noted(states.collect())
    }

    /// An aggregate that the unit of work created, with its buffered events.
    fn created<A: Aggregate>(&self, id: AggregateId<A>, binding: Arc<Binding>) -> Result<StateAggregate<A>> {
        let mut aggregate = StateAggregate::new(id, None, Sequence::NONE, binding, A::default());
        self.buffer()?.overlay(&mut aggregate, &self.unit.status)?;
        Ok(aggregate)
    }

    /// A stored aggregate, with the changes of the unit of work.
    fn with_changes<A: Aggregate>(
        &self,
        stored: Option<StateAggregate<A>>,
    ) -> Result<Option<StateAggregate<A>>> {
        let Some(mut aggregate) = stored else { return Ok(None) };
        self.buffer()?.overlay(&mut aggregate, &self.unit.status)?;
        Ok(Some(aggregate))
    }
}
