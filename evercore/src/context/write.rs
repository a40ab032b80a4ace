//! The operations of a unit of work that buffer changes.

use std::{any::TypeId, sync::Arc};

use super::{
    Context,
    buffer::{BufferedEvent, Origin, Snapshot},
};
use crate::{
    Aggregate, AggregateId, AggregateRef, AggregateType, Error, EventInfo, EventOf, EventOptions, NaturalKey,
    Payload, RawEvent, Result, Sequence, SnapshotAggregate, StateAggregate, engine::NewSnapshot,
};

impl Context {
    /// Creates an aggregate without a natural key. It is stored at commit even if no event was applied to it,
    /// at sequence 0.
    ///
    /// # Errors
    ///
    /// [`Error::ContextClosed`], and [`Error::Engine`] when a block of ids was needed and not to be had.
    ///
    /// # Cancel safety
    ///
    /// Nothing is created when the future is dropped.
    pub async fn create<A: Aggregate>(&self) -> Result<StateAggregate<A>> {
        let created = self.create_as(None, Origin::Created).await;
        self.noted(created)
    }

    /// Creates an aggregate with a natural key. Whether another one has that key shows at commit. It is stored
    /// even if no event was applied to it, at sequence 0.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and [`Error::InvalidText`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is created when the future is dropped.
    pub async fn create_with_key<A: Aggregate>(
        &self,
        key: impl TryInto<NaturalKey, Error: Into<Error>> + Send,
    ) -> Result<StateAggregate<A>> {
        let key = key.try_into().map_err(Into::into)?;
        let created = self.create_as(Some(key), Origin::Created).await;
        self.noted(created)
    }

    /// Loads the aggregate with this natural key, or creates it. Created, it is stored at commit even if no
    /// event was applied to it, at sequence 0: whether it needs its first event is a question to
    /// [`sequence`](StateAggregate::sequence), also when it was loaded.
    ///
    /// When somebody else creates it at the same time, the commit is [`Error::DuplicateKey`] with
    /// `load_or_create`, which [`Error::is_conflict`] counts as a conflict: the next run loads it.
    ///
    /// # Errors
    ///
    /// As [`load_by_key`](Self::load_by_key) and [`create_with_key`](Self::create_with_key).
    ///
    /// # Cancel safety
    ///
    /// Nothing is created when the future is dropped.
    pub async fn load_or_create<A: Aggregate>(
        &self,
        key: impl TryInto<NaturalKey, Error: Into<Error>> + Send,
    ) -> Result<StateAggregate<A>> {
        let key = key.try_into().map_err(Into::into)?;
        let result = match self.find_state(&key).await {
            Ok(Some(aggregate)) => Ok(aggregate),
            Ok(None) => self.create_as(Some(key), Origin::LoadOrCreate).await,
            Err(error) => Err(error),
        };
        self.noted(result)
    }

    /// Applies an event to the aggregate: changes its state at once, and the store at commit.
    ///
    /// # Errors
    ///
    /// [`Error::StaleCopy`] when the unit of work has later events of the aggregate than this copy,
    /// [`Error::Uncommitted`] when the copy contains events of another one that did not commit,
    /// [`Error::Conflict`] when somebody else changed the aggregate before this copy was loaded and after the
    /// unit of work began with it, [`Error::WrongType`] when the unit of work has it as another Rust type,
    /// [`Error::Invalid`] when the aggregate's `validate` function refuses the result, [`Error::Encode`] when
    /// the event has no JSON form or could not be read back from it, and [`Error::ContextClosed`]. After an
    /// error, aggregate and unit of work are as before.
    ///
    /// # Panics
    ///
    /// When the `apply` or `validate` function of the aggregate does. The unit of work has ended then, and
    /// the copy cannot be used any more.
    pub fn apply<A: Aggregate, E: EventOf<A>>(
        &self,
        aggregate: &mut StateAggregate<A>,
        event: E,
    ) -> Result<()> {
        self.apply_with(aggregate, event, EventOptions::new())
    }

    /// Applies an event with a time, a reference or metadata.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply), and [`Error::InvalidText`] for the reference.
    ///
    /// # Panics
    ///
    /// As [`apply`](Self::apply).
    #[expect(clippy::needless_pass_by_value, reason = "an event happens once")]
    pub fn apply_with<A: Aggregate, E: EventOf<A>>(
        &self,
        aggregate: &mut StateAggregate<A>,
        event: E,
        options: EventOptions,
    ) -> Result<()> {
        let payload = Payload::encode_event(&event).map_err(|source| Error::Encode {
            aggregate: aggregate.reference(),
            what: E::NAME,
            source,
        })?;
        let apply = |state: &mut A, info: &EventInfo| event.apply_to(state, info);
        let applied = self.record(aggregate, E::INDEX, payload, options, apply);
        self.noted(applied)
    }

    /// Adds an event that is already encoded, to the aggregate as it was at `after`. Its name and payload
    /// are those of a listed event, by name or alias, or of an older form, which is stored as such. The state is not known here, so the aggregate's
    /// `validate` function is not asked.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownEventType`] when the aggregate does not list it, [`Error::Decode`] when the payload
    /// does not have the shape of its type, [`Error::StaleCopy`] when the aggregate is not at `after`,
    /// [`Error::NotFound`], [`Error::WrongType`], [`Error::InvalidText`], [`Error::ContextClosed`] and
    /// [`Error::Engine`]. At commit [`Error::Conflict`] when somebody else changed the aggregate meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The event is buffered or not.
    pub async fn publish<A: Aggregate>(
        &self,
        id: AggregateId<A>,
        after: Sequence,
        event: RawEvent,
    ) -> Result<()> {
        let sequence = after.next();
        let mut listed = A::EVENTS.iter().enumerate();
        let named =
            listed.find_map(|(index, listed)| Some((index, listed.name_to_store(&event.event_type)?)));
        let Some(found) = named else {
            return Err(Error::unknown_event_type(A::NAME, id.untyped(), sequence, &event.event_type));
        };
        A::decode_event(found.0, &event.event_type, &event.payload)
            .map_err(|source| Error::decode(A::NAME, id.untyped(), sequence, &event.event_type, source))?;
        let published = self.publish_at(id, found, after, event).await;
        self.noted(published)
    }

    /// Gives the aggregate another natural key. Keys may be swapped, and reused, within a unit of work:
    /// whether another aggregate has the key shows at commit.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidText`], and [`Error::StaleCopy`], [`Error::Uncommitted`], [`Error::Conflict`],
    /// [`Error::WrongType`] and [`Error::ContextClosed`] as [`apply`](Self::apply).
    pub fn change_key<A: Aggregate>(
        &self,
        aggregate: &mut StateAggregate<A>,
        key: impl TryInto<NaturalKey, Error: Into<Error>>,
    ) -> Result<()> {
        let key = key.try_into().map_err(Into::into)?;
        let mut buffer = self.buffer()?;
        self.noted(buffer.check(aggregate, &self.unit.status))?;
        buffer.change_key(aggregate, key.clone());
        aggregate.key = Some(key);
        aggregate.unit = Some(Arc::clone(&self.unit.status));
        Ok(())
    }

    /// Lets the commit succeed only if nobody changes this aggregate or its key until then, although this unit of
    /// work does not change it itself. Of two units of work that each require what the other changes, at most
    /// one commits.
    ///
    /// # Errors
    ///
    /// [`Error::StaleCopy`], [`Error::Uncommitted`], [`Error::Conflict`], [`Error::WrongType`] and
    /// [`Error::ContextClosed`] as [`apply`](Self::apply); at commit [`Error::Conflict`].
    pub fn require_unchanged<A: Aggregate>(&self, aggregate: &StateAggregate<A>) -> Result<()> {
        let mut buffer = self.buffer()?;
        self.noted(buffer.check(aggregate, &self.unit.status))?;
        buffer.entry(aggregate).required = true;
        Ok(())
    }

    /// Takes a snapshot of the aggregate by hand, written at commit.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], and [`Error::StaleCopy`], [`Error::Uncommitted`], [`Error::Conflict`],
    /// [`Error::WrongType`] and [`Error::ContextClosed`] as [`apply`](Self::apply); at commit [`Error::Conflict`]
    /// when the aggregate was changed meanwhile.
    pub fn save_snapshot<A: SnapshotAggregate>(&self, aggregate: &StateAggregate<A>) -> Result<()> {
        let (Some(fingerprint), Some(payload)) = (A::SNAPSHOTS.fingerprint(), A::SNAPSHOTS.encode(aggregate))
        else {
            return Ok(());
        };
        let payload = payload.map_err(|source| Error::Encode {
            aggregate: aggregate.reference(),
            what: "the state",
            source,
        })?;
        let aggregate_id = aggregate.id.untyped();
        let snapshot = NewSnapshot { aggregate_id, sequence: aggregate.sequence, fingerprint, payload };
        let mut buffer = self.buffer()?;
        self.noted(buffer.check(aggregate, &self.unit.status))?;
        buffer.entry(aggregate).snapshot = Snapshot::Saved(snapshot);
        Ok(())
    }

    async fn create_as<A: Aggregate>(
        &self,
        key: Option<NaturalKey>,
        origin: Origin,
    ) -> Result<StateAggregate<A>> {
        self.check_open()?;
        let binding = self.store.binding_to_write(TypeId::of::<A>(), AggregateType::of::<A>()).await?;
        let id = self.store.next_id().await?.typed();
        let mut aggregate = StateAggregate::new(id, key, Sequence::NONE, binding, A::default());
        aggregate.unit = Some(Arc::clone(&self.unit.status));
        let holder = self.buffer()?.create(&aggregate, origin);
        match holder {
            Some(holder) => self.load(holder.typed()).await,
            None => Ok(aggregate),
        }
    }

    fn record<A: Aggregate>(
        &self,
        aggregate: &mut StateAggregate<A>,
        index: usize,
        payload: Payload,
        options: EventOptions,
        apply: impl FnOnce(&mut A, &EventInfo),
    ) -> Result<()> {
        let (time, reference, metadata) = options.or(&self.unit.defaults).resolve()?;
        let mut buffer = self.buffer()?;
        buffer.check(aggregate, &self.unit.status)?;
        let sequence = aggregate.sequence.next();
        let info = EventInfo { sequence, time, recorded_at: None, reference, metadata };
        let name = A::EVENTS[index].name;
        // The copy is one of this unit of work from here on: when `apply` panics, nothing accepts it any more.
        let unit_before = aggregate.unit.replace(Arc::clone(&self.unit.status));
        // Under the lock of this unit of work, so that no other copy of the aggregate comes between.
        if let Err(source) = aggregate.change(|state| apply(state, &info)) {
            aggregate.unit = unit_before;
            return Err(Error::Invalid { aggregate: aggregate.reference(), event_type: name, source });
        }
        let entry = buffer.entry(aggregate);
        entry.head = sequence;
        if A::SNAPSHOTS.is_due(entry.base, sequence) {
            entry.snapshot = Snapshot::Lent(aggregate.lend());
        }
        buffer.events.push(BufferedEvent { aggregate: aggregate.id.untyped(), index, name, info, payload });
        aggregate.sequence = sequence;
        Ok(())
    }

    async fn publish_at<A: Aggregate>(
        &self,
        id: AggregateId<A>,
        (index, name): (usize, &'static str),
        after: Sequence,
        event: RawEvent,
    ) -> Result<()> {
        let (time, reference, metadata) = event.options.or(&self.unit.defaults).resolve()?;
        let aggregate = id.untyped();
        let is_buffered = self.buffer()?.entries.contains_key(&aggregate);
        // Nobody has a copy of the aggregate: find out that it exists, and its key.
        let outline = if is_buffered { None } else { Some(self.outline(id).await?) };
        let mut buffer = self.buffer()?;
        let current = match (buffer.entries.get(&aggregate), &outline) {
            (Some(entry), _) => entry.check_type::<A>(aggregate).map(|()| entry.head)?,
            (None, Some(outline)) => outline.sequence,
            (None, None) => return Err(Error::ContextClosed),
        };
        if current != after {
            return Err(Error::StaleCopy { aggregate: AggregateRef::new(A::NAME, id), copy: after, current });
        }
        let entry = match outline {
            Some(outline) => buffer.entry(&outline),
            None => buffer.entries.get_mut(&aggregate).ok_or(Error::ContextClosed)?,
        };
        let sequence = current.next();
        entry.head = sequence;
        if matches!(entry.snapshot, Snapshot::Lent(_)) {
            // The lent state does not know this event.
            entry.snapshot = Snapshot::None;
        }
        let info = EventInfo { sequence, time, recorded_at: None, reference, metadata };
        buffer.events.push(BufferedEvent { aggregate, index, name, info, payload: event.payload });
        Ok(())
    }
}
