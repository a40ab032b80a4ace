//! From what is stored to states.

use std::sync::Arc;

use crate::{
    Aggregate, AggregateId, AggregateRef, Error, EventInfo, History, Metadata, NaturalKey, Payload,
    RecordedEvent, RecordedSnapshot, Result, Sequence, StateAggregate,
    engine::{Load, LoadTarget, LoadedAggregate, LoadedSnapshot, SnapshotUse, StoredEvent, StoredSnapshot},
    state_aggregate::Replay,
    store::EventStore,
    type_cache::Binding,
};

/// How many events one load takes at most. An aggregate with more, after its snapshot, is loaded in several.
const PAGE: u32 = 10_000;

impl EventStore {
    /// Loads and rebuilds aggregates: one round trip, unless one has very many events or a snapshot that
    /// cannot be decoded.
    pub(crate) async fn load_states<A: Aggregate>(
        &self,
        binding: Arc<Binding>,
        targets: Vec<LoadTarget>,
    ) -> Result<Vec<Option<StateAggregate<A>>>> {
        let snapshot = A::SNAPSHOTS.fingerprint().map_or(SnapshotUse::Ignore, SnapshotUse::Fitting);
        let load = |target| Load { target, snapshot, after: Sequence::NONE, limit: PAGE };
        let loads: Vec<_> = targets.into_iter().map(load).collect();
        let mut states = Vec::with_capacity(loads.len());
        for loaded in self.load_stored(&binding, &loads).await? {
            states.push(match loaded {
                Some(loaded) => Some(self.rebuild(Arc::clone(&binding), loaded).await?),
                None => None,
            });
        }
        Ok(states)
    }

    /// Loads aggregates of one type, still encoded.
    pub(crate) async fn load_stored(
        &self,
        binding: &Binding,
        loads: &[Load],
    ) -> Result<Vec<Option<LoadedAggregate>>> {
        let name = binding.aggregate.name;
        let loaded = self
            .engine_dyn()
            .load(loads)
            .await
            .map_err(|source| Error::Engine { action: format!("load {}", targets(name, loads)), source })?;
        for found in loaded.iter().flatten() {
            if !binding.is_of_type(found.type_id) {
                // It may be a name or alias of the type that another process has defined since.
                let actual = self.aggregate_name(found.type_id).await?;
                if !binding.aggregate.is_named(&actual) {
                    return Err(Error::WrongType {
                        id: found.id,
                        expected: name,
                        actual: actual.to_string(),
                    });
                }
            }
        }
        Ok(loaded)
    }

    pub(crate) async fn history(&self, id: AggregateId) -> Result<History> {
        let mut load =
            Load { target: LoadTarget::Id(id), snapshot: SnapshotUse::Any, after: Sequence::NONE, limit: 1 };
        // The snapshot, and then the events from the first: a load with a snapshot leaves those before it out.
        let failed = |source| Error::Engine { action: format!("read the history of aggregate {id}"), source };
        let outline = self.engine_dyn().load(std::slice::from_ref(&load)).await.map_err(failed)?;
        let not_found = || Error::NotFound(AggregateRef::new("aggregate", id));
        let outline = outline.into_iter().next().flatten().ok_or_else(not_found)?;
        let mut events = Vec::new();
        (load.snapshot, load.limit) = (SnapshotUse::Ignore, PAGE);
        while load.after < outline.version {
            let page = self.engine_dyn().load(std::slice::from_ref(&load)).await.map_err(failed)?;
            let stored = page.into_iter().next().flatten().ok_or_else(not_found)?.events;
            let Some(last) = stored.last() else { break };
            load.after = last.sequence;
            // What was appended since belongs to a later moment.
            for event in stored.into_iter().filter(|event| event.sequence <= outline.version) {
                events.push(self.recorded(event).await?);
            }
        }
        let snapshot = match outline.snapshot {
            LoadedSnapshot::Found(StoredSnapshot { sequence, payload }) => {
                Some(RecordedSnapshot { sequence, payload })
            }
            LoadedSnapshot::None | LoadedSnapshot::Misfit => None,
        };
        let aggregate_type = self.aggregate_name(outline.type_id).await?.to_string();
        Ok(History { aggregate_type, key: outline.key, version: outline.version, snapshot, events })
    }

    pub(crate) async fn find_by_key<A: Aggregate>(&self, key: &NaturalKey) -> Result<Option<AggregateId<A>>> {
        let binding = self.binding_to_read::<A>().await?;
        let Some(type_id) = binding.type_id() else { return Ok(None) };
        let found = self.engine_dyn().find_by_key(type_id, key).await;
        let found =
            found.map_err(Error::engine(format_args!("find the {} with the key {key:?}", A::NAME)))?;
        Ok(found.map(AggregateId::typed))
    }

    pub(crate) async fn ids<A: Aggregate>(
        &self,
        after: Option<AggregateId<A>>,
        limit: u32,
    ) -> Result<Vec<AggregateId<A>>> {
        let binding = self.binding_to_read::<A>().await?;
        let Some(type_id) = binding.type_id() else { return Ok(Vec::new()) };
        let ids = self.engine_dyn().aggregate_ids(type_id, after.map(AggregateId::untyped), limit).await;
        let ids = ids.map_err(Error::engine(format_args!("list the ids of {}", A::NAME)))?;
        Ok(ids.into_iter().map(AggregateId::typed).collect())
    }

    /// Gives a stored event the names of its types.
    pub(crate) async fn recorded(&self, event: StoredEvent) -> Result<RecordedEvent> {
        let (aggregate_type, event_type) = match self.types().names(event.aggregate_type, event.event_type) {
            Some(names) => names,
            None => (self.aggregate_name(event.aggregate_type).await?, self.event_name(&event).await?),
        };
        let StoredEvent { position, aggregate_id, recorded_at, .. } = event;
        let (info, payload) = open(event)?;
        Ok(RecordedEvent { position, aggregate_type, aggregate_id, event_type, recorded_at, info, payload })
    }

    async fn rebuild<A: Aggregate>(
        &self,
        binding: Arc<Binding>,
        mut loaded: LoadedAggregate,
    ) -> Result<StateAggregate<A>> {
        if let LoadedSnapshot::Misfit = loaded.snapshot {
            tracing::warn!(aggregate = %AggregateRef::new(A::NAME, loaded.id),
                "the snapshot is of another shape of the state and was ignored");
        }
        let mut replay = Replay::default();
        let state = match start::<A>(&loaded) {
            Some((sequence, state)) => {
                replay.snapshot = Some(sequence);
                state
            }
            None if matches!(loaded.snapshot, LoadedSnapshot::Found(_)) => {
                // The events before the snapshot were not part of the answer.
                loaded = self.load_page(&binding, loaded.id, Sequence::NONE).await?;
                A::default()
            }
            None => A::default(),
        };
        let id = loaded.id.typed();
        let sequence = replay.snapshot.unwrap_or_default();
        let mut aggregate = StateAggregate::new(id, loaded.key, sequence, Arc::clone(&binding), state);
        (aggregate.type_id, aggregate.replay) = (Some(loaded.type_id), replay);
        self.replay(&mut aggregate, loaded.events).await?;
        while aggregate.sequence < loaded.version {
            let page = self.load_page(&binding, loaded.id, aggregate.sequence).await?;
            if page.events.is_empty() {
                let problem = format!("event {} is missing", aggregate.sequence.next());
                return Err(Error::Damaged { aggregate: aggregate.reference(), problem });
            }
            loaded.version = page.version;
            aggregate.key = page.key;
            self.replay(&mut aggregate, page.events).await?;
        }
        if aggregate.sequence > loaded.version {
            let (last, snapshot) = (loaded.version, aggregate.sequence);
            let problem = format!("the snapshot is of event {snapshot}, and {last} is the last");
            return Err(Error::Damaged { aggregate: aggregate.reference(), problem });
        }
        Ok(aggregate)
    }

    async fn load_page(
        &self,
        binding: &Binding,
        id: AggregateId,
        after: Sequence,
    ) -> Result<LoadedAggregate> {
        let load = Load { target: LoadTarget::Id(id), snapshot: SnapshotUse::Ignore, after, limit: PAGE };
        let loaded = self.load_stored(binding, &[load]).await?.pop().flatten();
        loaded.ok_or_else(|| Error::NotFound(AggregateRef::new(binding.aggregate.name, id)))
    }

    async fn replay<A: Aggregate>(
        &self,
        aggregate: &mut StateAggregate<A>,
        events: Vec<StoredEvent>,
    ) -> Result<()> {
        for event in events {
            let expected = aggregate.sequence.next();
            if event.sequence != expected {
                let problem = format!("event {expected} is missing, {} comes instead", event.sequence);
                return Err(Error::Damaged { aggregate: aggregate.reference(), problem });
            }
            let (index, event_type) = match aggregate.binding.event(event.event_type) {
                Some(found) => found,
                None => self.late_event(aggregate, &event).await?,
            };
            let (info, payload) = open(event)?;
            let decoded = A::decode_event(index, event_type, &payload).map_err(|source| {
                Error::decode(A::NAME, aggregate.id.untyped(), info.sequence, event_type, source)
            })?;
            aggregate.replay_event(&decoded, &info);
        }
        Ok(())
    }

    /// Which event is stored under a type that was not known at first: another process may have defined it
    /// since.
    async fn late_event<A: Aggregate>(
        &self,
        aggregate: &mut StateAggregate<A>,
        event: &StoredEvent,
    ) -> Result<(usize, &'static str)> {
        let name = self.event_name(event).await?;
        aggregate.binding = self.binding_to_read::<A>().await?;
        aggregate
            .binding
            .event(event.event_type)
            .ok_or_else(|| Error::unknown_event_type(A::NAME, event.aggregate_id, event.sequence, &name))
    }

    async fn event_name(&self, event: &StoredEvent) -> Result<Arc<str>> {
        let id = event.event_type;
        if let Some(name) = self.types().event_name(id) {
            return Ok(name);
        }
        self.refresh_types().await?;
        self.types().event_name(id).ok_or_else(|| Error::Damaged {
            aggregate: AggregateRef::new("aggregate", event.aggregate_id),
            problem: format!("event {} has the type id {id}, which has no name", event.sequence),
        })
    }

    async fn aggregate_name(&self, id: crate::AggregateTypeId) -> Result<Arc<str>> {
        if let Some(name) = self.types().aggregate_name(id) {
            return Ok(name);
        }
        self.refresh_types().await?;
        Ok(self.types().aggregate_name(id).unwrap_or_else(|| format!("type without a name ({id})").into()))
    }

    pub(crate) async fn refresh_types(&self) -> Result<()> {
        let refreshed = self.types().refresh(self.engine_dyn()).await;
        refreshed.map_err(Error::engine("look up the types of the store"))
    }
}

/// The state of the snapshot, unless it cannot be decoded.
fn start<A: Aggregate>(loaded: &LoadedAggregate) -> Option<(Sequence, A)> {
    let LoadedSnapshot::Found(snapshot) = &loaded.snapshot else { return None };
    match A::SNAPSHOTS.decode(&snapshot.payload)? {
        Ok(state) => Some((snapshot.sequence, state)),
        Err(error) => {
            tracing::warn!(aggregate = %AggregateRef::new(A::NAME, loaded.id), %error,
                "the snapshot cannot be decoded and was ignored");
            None
        }
    }
}

/// What is known of an event, and the event itself.
fn open(event: StoredEvent) -> Result<(EventInfo, Payload)> {
    let metadata = match &event.metadata {
        None => Metadata::new(),
        Some(text) => serde_json::from_str(text).map_err(|error| Error::Damaged {
            aggregate: AggregateRef::new("aggregate", event.aggregate_id),
            problem: format!("the metadata of event {} is not a JSON object: {error}", event.sequence),
        })?,
    };
    let StoredEvent { sequence, time, recorded_at, reference, payload, .. } = event;
    let recorded_at = Some(recorded_at);
    Ok((EventInfo { sequence, time, recorded_at, reference, metadata }, payload))
}

fn targets(name: &str, loads: &[Load]) -> String {
    let one = |load: &Load| match &load.target {
        LoadTarget::Id(id) => AggregateRef::new(name, *id).to_string(),
        LoadTarget::Key(_, key) => AggregateRef::with_key(name, key).to_string(),
    };
    match loads {
        [] => name.to_owned(),
        [load] => one(load),
        [first, rest @ ..] => format!("{} and {} more", one(first), rest.len()),
    }
}
