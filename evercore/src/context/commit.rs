//! From a unit of work to what the engine writes, and back to what the caller learns.

use std::{fmt, sync::Arc};

use super::{
    Context, ReadWrite, Status, UnitOfWork,
    buffer::{Buffer, BufferedEvent, Entry, Snapshot},
};
use crate::{
    AggregateId, AggregateRef, Error, EventStore, Receipt, Result, WrittenAggregate,
    engine::{
        AggregateChange, Changes, CommitError, CommitOutcome, EngineError, EngineErrorKind, Expected,
        Idempotency, KeyChange, NewEvent, NewSnapshot, StorageEngine, Timestamp,
    },
    text::Text,
    waiting,
};

/// What became of a commit.
pub(crate) enum Outcome {
    Fresh(Receipt),
    Repeat(Receipt),
}

impl Context<ReadWrite> {
    /// Writes everything that was buffered: all of it, or nothing. One round trip.
    ///
    /// The unit of work has ended then, also after an error.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`], [`Error::DuplicateKey`], [`Error::NotFound`] for an aggregate that does not
    /// exist, [`Error::Engine`]: nothing was written. [`Error::OutcomeUnknown`]: everything was, or nothing.
    /// [`Error::ContextClosed`] when it has ended before.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, either everything is written or nothing is, and the unit of work has
    /// ended.
    pub async fn commit(&self) -> Result<Receipt> {
        match self.commit_once().await? {
            Outcome::Fresh(receipt) | Outcome::Repeat(receipt) => Ok(receipt),
        }
    }

    pub(crate) async fn commit_once(&self) -> Result<Outcome> {
        let plan = self.plan().await?;
        if let (Some(key), None) = (&self.unit.idempotency_key, &plan.changes.idempotency)
            && let Some(receipt) = self.store.receipt(key).await?
        {
            return Ok(Outcome::Repeat(receipt));
        }
        if plan.changes.is_empty() {
            self.unit.status.set(Status::Committed);
            let receipt = Receipt { last_position: None, committed_at: Timestamp::now(), aggregates: vec![] };
            return Ok(Outcome::Fresh(receipt));
        }
        if waiting::is_for_itself(&self.store) {
            return Err(Error::WaitsForItself { action: "commit" });
        }
        let result = self.store.engine_dyn().commit(&plan.changes).await;
        let outcome = plan.outcome(self.store.engine_dyn().name(), result);
        // After a repeat the store has what the first commit wrote, not what the copies of this one contain.
        if matches!(outcome, Ok(Outcome::Fresh(_))) {
            self.unit.status.set(Status::Committed);
        }
        outcome
    }

    /// For engines: ends the unit of work, and hands out what it would write, so that the engine `T` can
    /// write it inside a transaction of the caller. Its fate is the caller's from then on.
    ///
    /// # Errors
    ///
    /// [`Error::WrongEngine`] when the store does not run on a `T`, [`Error::ContextClosed`], and
    /// [`Error::DuplicateKey`] when the unit of work leaves two aggregates with one key.
    ///
    /// # Cancel safety
    ///
    /// The unit of work may have ended.
    pub async fn prepare<T: StorageEngine>(&self) -> Result<Prepared<'_, T>> {
        let engine = self.store.engine_of::<T>()?;
        Ok(Prepared { engine, plan: self.plan().await? })
    }

    /// Closes the unit of work and turns what it has buffered into changes.
    async fn plan(&self) -> Result<Plan> {
        let mut buffer = self.close()?;
        buffer.check_keys()?;
        for entry in buffer.entries.values_mut() {
            let (rust_type, aggregate) = (entry.binding.rust_type, entry.binding.aggregate);
            entry.binding = self.store.binding_to_write(rust_type, aggregate).await?;
        }
        Plan::new(&self.unit, buffer, &self.store)
    }

    fn close(&self) -> Result<Buffer> {
        let mut buffer = self.buffer()?;
        self.unit.status.set(Status::Closed);
        Ok(std::mem::take(&mut buffer))
    }
}

/// What a unit of work writes, for an engine that writes it in a transaction of the caller.
pub struct Prepared<'a, T> {
    engine: &'a T,
    plan: Plan,
}

impl<'a, T: StorageEngine> Prepared<'a, T> {
    /// The engine of the store.
    #[must_use]
    pub fn engine(&self) -> &'a T {
        self.engine
    }

    /// What is to be written.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.plan.changes
    }

    /// Tells the caller what became of it.
    ///
    /// # Errors
    ///
    /// As [`Context::commit`].
    pub fn resolve(self, result: Result<CommitOutcome, CommitError>) -> Result<Receipt> {
        match self.plan.outcome(self.engine.name(), result)? {
            Outcome::Fresh(receipt) | Outcome::Repeat(receipt) => Ok(receipt),
        }
    }
}

impl<T> fmt::Debug for Prepared<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("changes", &self.plan.changes).finish_non_exhaustive()
    }
}

/// Changes, and what is needed to speak of them afterwards.
struct Plan {
    changes: Changes,
    entries: Vec<(AggregateId, Entry)>,
    written: Vec<WrittenAggregate>,
}

impl Plan {
    fn new(unit: &Arc<UnitOfWork>, buffer: Buffer, store: &EventStore) -> Result<Self> {
        let entries: Vec<_> = buffer.entries.into_iter().filter(|(_, entry)| entry.is_needed()).collect();
        let written = entries.iter().filter(|(_, entry)| entry.is_written());
        let written: Vec<_> = written.map(|(id, entry)| entry.as_written(*id)).collect();
        let mut changes = Changes { idempotency: idempotency(unit, &written)?, ..Changes::default() };
        for (id, entry) in &entries {
            changes.aggregates.push(entry.change(*id, store)?);
            changes.snapshots.extend(entry.new_snapshot(*id));
        }
        for event in buffer.events {
            // Every buffered event has an entry: they are added together.
            let Ok(at) = entries.binary_search_by_key(&event.aggregate, |(id, _)| *id) else { continue };
            changes.events.push(new_event(event, &entries[at].1, store)?);
        }
        Ok(Self { changes, entries, written })
    }

    fn outcome(self, engine: &'static str, result: Result<CommitOutcome, CommitError>) -> Result<Outcome> {
        match result {
            Ok(CommitOutcome::Committed { last_position, committed_at }) => {
                Ok(Outcome::Fresh(Receipt { last_position, committed_at, aggregates: self.written }))
            }
            Ok(CommitOutcome::Repeated(past)) => {
                let receipt = Receipt::of_past(&past).map_err(Error::unreadable_receipt(engine))?;
                self.check_repeat(&receipt)?;
                Ok(Outcome::Repeat(receipt))
            }
            Err(error) => Err(self.error(error)),
        }
    }

    /// What a repeat would write must be among what the first commit wrote.
    fn check_repeat(&self, first: &Receipt) -> Result<()> {
        let Some(Idempotency { key, .. }) = &self.changes.idempotency else { return Ok(()) };
        let foreign =
            |(id, entry): &&(AggregateId, Entry)| entry.is_written() && !entry.was_written_by(*id, first);
        match self.entries.iter().find(foreign) {
            Some((id, entry)) => Err(Error::KeyReused { key: key.clone(), aggregate: entry.reference(*id) }),
            None => Ok(()),
        }
    }

    fn error(&self, error: CommitError) -> Error {
        match error {
            CommitError::Conflict { aggregate, actual } => {
                let expected = self.entry(aggregate).map(|entry| entry.base).unwrap_or_default();
                Error::Conflict { aggregate: self.reference(aggregate), expected, actual }
            }
            CommitError::UnknownAggregate(id) => Error::NotFound(self.reference(id)),
            CommitError::DuplicateKey(id) => {
                match self.entry(id).and_then(|entry| Some((entry, entry.key.as_ref()?))) {
                    Some((entry, key)) => entry.duplicate_key(key, entry.origin),
                    None => Error::Damaged {
                        aggregate: self.reference(id),
                        problem: "the engine reports a duplicate key that it was not given".to_owned(),
                    },
                }
            }
            CommitError::Engine(source) => Error::Engine { action: self.action(), source },
            CommitError::OutcomeUnknown(source) => {
                let aggregates = self.entries.iter().map(|(id, entry)| entry.reference(*id)).collect();
                Error::OutcomeUnknown { aggregates, source }
            }
        }
    }

    fn entry(&self, id: AggregateId) -> Option<&Entry> {
        self.entries.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| &self.entries[at].1)
    }

    fn reference(&self, id: AggregateId) -> AggregateRef {
        self.entry(id).map_or_else(|| AggregateRef::new("aggregate", id), |entry| entry.reference(id))
    }

    fn action(&self) -> String {
        match &self.entries[..] {
            [] => "commit".to_owned(),
            [(id, entry)] => format!("commit the changes of {}", entry.reference(*id)),
            [(id, entry), rest @ ..] => {
                format!("commit the changes of {} and {} more", entry.reference(*id), rest.len())
            }
        }
    }
}

impl Entry {
    fn is_needed(&self) -> bool {
        self.is_written() || self.required || matches!(self.snapshot, Snapshot::Saved(_))
    }

    fn as_written(&self, id: AggregateId) -> WrittenAggregate {
        let aggregate_type = self.aggregate_type().name.to_owned();
        WrittenAggregate { aggregate_type, id, key: self.key.clone(), sequence: self.head }
    }

    /// Whether a commit wrote this aggregate. One that is created again has another id, and its natural key.
    fn was_written_by(&self, id: AggregateId, receipt: &Receipt) -> bool {
        let is_same = |past: &WrittenAggregate| match self.is_new() {
            true => self.aggregate_type().is_named(&past.aggregate_type) && past.key == self.key,
            false => past.id == id,
        };
        receipt.aggregates.iter().any(is_same)
    }

    fn change(&self, id: AggregateId, store: &EventStore) -> Result<AggregateChange> {
        let type_id = self.type_id.ok_or_else(|| undefined(self.aggregate_type().name, store))?;
        let expected = if self.is_new() { Expected::New } else { Expected::At(self.base) };
        let key = match &self.key {
            // That of a required aggregate is set to what it is, and thereby checked.
            Some(to) if self.required || self.key != self.stored_key => {
                KeyChange::Set { from: self.stored_key.clone(), to: to.clone() }
            }
            _ => KeyChange::Keep,
        };
        Ok(AggregateChange { id, type_id, expected, version: self.head, key })
    }

    fn new_snapshot(&self, id: AggregateId) -> Option<NewSnapshot> {
        match &self.snapshot {
            Snapshot::None => None,
            Snapshot::Saved(snapshot) => Some(snapshot.clone()),
            Snapshot::Lent(state) => match state.encode()? {
                Ok((fingerprint, payload)) => {
                    Some(NewSnapshot { aggregate_id: id, sequence: self.head, fingerprint, payload })
                }
                Err(error) => {
                    // A snapshot saves time; for want of one nothing is lost.
                    tracing::warn!(aggregate = %self.reference(id), %error, "no snapshot: the state cannot be encoded");
                    None
                }
            },
        }
    }
}

fn new_event(event: BufferedEvent, entry: &Entry, store: &EventStore) -> Result<NewEvent> {
    let event_type = entry.binding.event_id(event.index, event.name);
    let (Some(aggregate_type), Some(event_type)) = (entry.type_id, event_type) else {
        return Err(undefined(event.name, store));
    };
    let metadata = &event.info.metadata;
    let metadata = (!metadata.is_empty()).then(|| serde_json::to_string(metadata)).transpose();
    Ok(NewEvent {
        aggregate_id: event.aggregate,
        aggregate_type,
        event_type,
        sequence: event.info.sequence,
        time: event.info.time,
        reference: event.info.reference,
        metadata: metadata.map_err(|source: serde_json::Error| Error::Encode {
            aggregate: entry.reference(event.aggregate),
            what: "the metadata of an event",
            source: source.into(),
        })?,
        payload: event.payload,
    })
}

fn undefined(name: &str, store: &EventStore) -> Error {
    let problem = format!("the engine gave no id to the name {name:?}");
    let engine = store.engine_dyn().name();
    let source = EngineError::new(engine, "define a type", EngineErrorKind::Other, problem);
    Error::Engine { action: "commit".to_owned(), source }
}

/// The key, unless there is nothing to write: such a unit of work leaves its key to one that has.
fn idempotency(unit: &UnitOfWork, written: &[WrittenAggregate]) -> Result<Option<Idempotency>> {
    let Some(key) = unit.idempotency_key.clone() else { return Ok(None) };
    Text::IDEMPOTENCY_KEY.check(&key)?;
    if written.is_empty() {
        return Ok(None);
    }
    let receipt = serde_json::to_string(written).expect("names, numbers and keys have a JSON form");
    Ok(Some(Idempotency { key, receipt }))
}
