//! A loaded aggregate.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Aggregate, AggregateId, AggregateRef, AggregateTypeId, EncodeError, Error, EventInfo, Fingerprint,
    NaturalKey, Payload, Sequence, ValidationError,
    context::{Status, UnitStatus},
    type_cache::Binding,
};

/// An aggregate that was loaded or created: who it is, how far it is, and its state.
///
/// The state is read through the value itself (`user.email`). It changes by events only:
/// [`Context::apply`](crate::Context::apply).
pub struct StateAggregate<A> {
    pub(crate) id: AggregateId<A>,
    pub(crate) key: Option<NaturalKey>,
    pub(crate) sequence: Sequence,
    pub(crate) binding: Arc<Binding>,
    /// The type under which it is stored, or will be.
    pub(crate) type_id: Option<AggregateTypeId>,
    pub(crate) replay: Replay,
    /// The unit of work whose buffered changes this copy contains.
    pub(crate) unit: Option<Arc<UnitStatus>>,
    state: Arc<A>,
    lent: Option<Slot<A>>,
}

/// How a state came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replay {
    /// The sequence of the snapshot that the load started from.
    pub snapshot: Option<Sequence>,
    /// How many events were replayed, after the snapshot if there was one.
    pub events: u64,
}

impl<A> StateAggregate<A> {
    pub(crate) fn new(
        id: AggregateId<A>,
        key: Option<NaturalKey>,
        sequence: Sequence,
        binding: Arc<Binding>,
        state: A,
    ) -> Self {
        let (type_id, replay) = (binding.type_id(), Replay::default());
        Self { id, key, sequence, binding, type_id, replay, unit: None, state: Arc::new(state), lent: None }
    }

    /// The id of the aggregate.
    #[must_use]
    pub fn id(&self) -> AggregateId<A> {
        self.id
    }

    /// The natural key of the aggregate.
    #[must_use]
    pub fn key(&self) -> Option<&NaturalKey> {
        self.key.as_ref()
    }

    /// The sequence of the last event that went into the state; [`Sequence::NONE`] before the first.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &A {
        &self.state
    }

    /// How the state came about when the aggregate was loaded.
    #[must_use]
    pub fn replay(&self) -> Replay {
        self.replay
    }
}

impl<A: Aggregate> StateAggregate<A> {
    pub(crate) fn reference(&self) -> AggregateRef {
        AggregateRef::new(A::NAME, self.id)
    }

    /// Whether the copy consists of stored events alone. An error when it contains events of a unit of work,
    /// other than `unit`, that did not commit: its sequence says nothing then.
    pub(crate) fn is_stored(&self, unit: &Arc<UnitStatus>) -> Result<bool, Error> {
        match &self.unit {
            None => Ok(true),
            Some(own) if Arc::ptr_eq(own, unit) => Ok(false),
            Some(other) if other.get() == Status::Committed => Ok(true),
            Some(_) => Err(Error::Uncommitted(self.reference())),
        }
    }

    /// Makes a change; after an error the state is as before.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut A)) -> Result<(), ValidationError> {
        let lent = self.lent.clone();
        let changed = self.state_mut().change(change);
        if let (Err(_), Some(slot)) = (&changed, lent) {
            slot.fill(&self.state);
            self.lent = Some(slot);
        }
        changed
    }

    /// Replays a stored event: what happened is not validated again.
    pub(crate) fn replay_event(&mut self, event: &A::Event, info: &EventInfo) {
        self.state_mut().apply_event(event, info);
        self.sequence = info.sequence;
        self.replay.events += 1;
    }

    fn state_mut(&mut self) -> &mut A {
        if let Some(slot) = self.lent.take() {
            slot.revoke();
        }
        Arc::get_mut(&mut self.state).expect("only a slot shares the state, and it is empty")
    }

    /// Lends the state to a unit of work that will take a snapshot of it, unless it changes before.
    pub(crate) fn lend(&mut self) -> Box<dyn SnapshotSource> {
        let slot = Slot(Arc::default());
        slot.fill(&self.state);
        self.lent = Some(slot.clone());
        Box::new(slot)
    }
}

impl<A> Deref for StateAggregate<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.state
    }
}

impl<A: Clone> Clone for StateAggregate<A> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            key: self.key.clone(),
            sequence: self.sequence,
            binding: Arc::clone(&self.binding),
            type_id: self.type_id,
            replay: self.replay,
            unit: self.unit.clone(),
            // A copy of its own: `change` relies on nobody sharing the state.
            state: Arc::new(A::clone(&self.state)),
            lent: None,
        }
    }
}

impl<A: fmt::Debug> fmt::Debug for StateAggregate<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateAggregate")
            .field("id", &self.id.get())
            .field("key", &self.key)
            .field("sequence", &self.sequence.get())
            .field("state", &self.state)
            .finish()
    }
}

/// A state that a commit may take a snapshot of.
///
/// A snapshot is of the final state, which is known at commit only, and states need not be `Clone`. So the
/// aggregate lends its state, and takes it back before the next change.
struct Slot<A>(Arc<Mutex<Option<Arc<A>>>>);

/// A state to encode when the unit of work commits.
pub(crate) trait SnapshotSource: Send {
    /// The state, unless it was taken back.
    fn encode(&self) -> Option<Result<(Fingerprint, Payload), EncodeError>>;
}

impl<A> Slot<A> {
    fn fill(&self, state: &Arc<A>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(state));
    }

    fn revoke(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl<A> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Aggregate> SnapshotSource for Slot<A> {
    fn encode(&self) -> Option<Result<(Fingerprint, Payload), EncodeError>> {
        // Encodes under the lock, so that `revoke` returns only when the state is free again.
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let payload = A::SNAPSHOTS.encode(state.as_ref()?)?;
        let fingerprint = A::SNAPSHOTS.fingerprint()?;
        Some(payload.map(|payload| (fingerprint, payload)))
    }
}
