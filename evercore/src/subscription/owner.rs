//! Owning a durable subscription.

use std::time::Duration;

use futures_util::TryFutureExt as _;

use tokio::time::sleep;

use super::{
    delivery::with_causes,
    heartbeat::{Checks, Lease},
    patience::{Patience, patiently},
};
use crate::{
    Error, EventStore, Position, Result,
    engine::{
        Checkpoint, EngineError, EngineErrorKind, EventFilter, EventIdentity, Fenced, LogRead,
        NewFailedDelivery, OwnerError, Renewal, StoredEvent, StoredSubscription, SubscriptionChange,
    },
};

/// Who cannot give a subscription up tries it so often. It would be free anyway when the lease expires.
const RELEASE_TRIES: u32 = 5;

/// A subscription that this process owns. Dropped without a release, its lease expires.
#[derive(Debug)]
pub(super) struct Owned {
    store: EventStore,
    /// As it was when it was claimed.
    claimed: Box<StoredSubscription>,
    /// Where the stored cursor is, as far as is known.
    cursor: Position,
    lease: Lease,
}

/// A part of the log that was dealt with.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    /// Everything up to here was considered.
    pub(super) to: Position,
    /// The last event that was delivered.
    pub(super) anchor: Option<EventIdentity>,
    /// Events that were skipped.
    pub(super) failed: Vec<NewFailedDelivery>,
}

impl Step {
    pub(super) fn to(to: Position) -> Self {
        Self { to, ..Self::default() }
    }
}

impl Owned {
    /// For who has just claimed the subscription; the lease is renewed from here on.
    pub(super) fn new(
        store: EventStore,
        claimed: StoredSubscription,
        lease: Duration,
        before: Checks,
    ) -> Self {
        let renewal = Renewal { name: claimed.name.clone(), token: claimed.token, lease };
        let lease = store.hub().heartbeats.keep(&store, renewal, before);
        Self { cursor: claimed.cursor, claimed: claimed.into(), lease, store }
    }

    pub(super) fn claimed(&self) -> &StoredSubscription {
        &self.claimed
    }

    pub(super) fn name(&self) -> &str {
        &self.claimed.name
    }

    /// Everything up to here was considered.
    pub(super) fn cursor(&self) -> Position {
        self.cursor
    }

    /// Waits until somebody else owns the subscription, or nobody may.
    pub(super) fn lost(&self) -> impl Future<Output = Error> + Send + use<> {
        let (name, lost) = (self.claimed.name.clone().into(), self.lease.lost());
        async move { Error::Fenced { name, reason: lost.await } }
    }

    fn fenced(&self, reason: Fenced) -> Error {
        Error::Fenced { name: self.claimed.name.as_str().into(), reason }
    }

    /// Changes the subscription, and stays its owner.
    pub(super) async fn change(&mut self, change: &SubscriptionChange) -> Result<StoredSubscription> {
        let made = || {
            self.store.engine_dyn().change_subscription(&self.claimed.name, change, Some(self.claimed.token))
        };
        let changed = patiently!(made().map_err(|error| self.failed("change", error)))?;
        let changed = changed.ok_or_else(|| self.fenced(Fenced::Deleted))?;
        self.cursor = changed.cursor;
        Ok(changed)
    }

    /// What the checkpoint of a step says.
    pub(super) fn checkpoint(&self, step: &Step) -> Checkpoint {
        let Step { to, anchor, failed } = step.clone();
        Checkpoint {
            name: self.claimed.name.clone(),
            token: self.claimed.token,
            from: self.cursor,
            to,
            anchor,
            failed,
        }
    }

    /// Moves the cursor.
    pub(super) async fn advance(&mut self, step: &Step) -> Result<()> {
        loop {
            let checkpoint = self.checkpoint(step);
            match self.store.engine_dyn().checkpoint(&checkpoint).await {
                // Nobody else can have moved it: an earlier one was made, although its answer was lost, or a crash of
                // the database has undone some, and this one holds for them too.
                Err(OwnerError::Moved(cursor)) => {
                    self.moved_to(cursor);
                    if cursor >= step.to {
                        return Ok(());
                    }
                }
                made => {
                    made.map_err(|error| self.failed("checkpoint", error))?;
                    self.moved_to(step.to);
                    return Ok(());
                }
            }
        }
    }

    /// Says that the cursor was moved by other means.
    pub(super) fn moved_to(&mut self, cursor: Position) {
        self.cursor = cursor;
        self.store.hub().progressed.notify_waiters();
    }

    /// Asks the store where the cursor is, after a checkpoint whose outcome is in doubt.
    pub(super) async fn look_up_cursor(&mut self) -> Result<Position> {
        let found = self.store.find_subscription(&self.claimed.name).await?;
        let stored = found.ok_or_else(|| self.fenced(Fenced::Deleted))?;
        if stored.token != self.claimed.token {
            return Err(self.fenced(Fenced::of(&stored)));
        }
        self.moved_to(stored.cursor);
        Ok(stored.cursor)
    }

    /// Gives the subscription up. When that fails, the lease expires.
    pub(super) async fn release(&self, failure: Option<&str>) {
        let engine = self.store.engine_dyn();
        let mut patience = Patience::default();
        for tries in 1.. {
            let error =
                match engine.release_subscription(&self.claimed.name, self.claimed.token, failure).await {
                    // It belongs to others already, or an earlier try was made although its answer was lost.
                    Ok(()) | Err(OwnerError::Fenced(_)) => break,
                    Err(error) => self.failed("release", error),
                };
            if tries == RELEASE_TRIES || !error.is_temporary() {
                tracing::warn!(error = with_causes(&error), "the lease of a subscription is left to expire");
                break;
            }
            sleep(patience.pause(&error)).await;
        }
        self.store.hub().released.notify_waiters();
    }

    /// Refuses to go on where the store has lost events that were delivered: positions would be used again.
    pub(super) async fn check_log(&self, stored: &StoredSubscription) -> Result<()> {
        // A cursor without an anchor may have been set before events that are still to come.
        let Some(anchor) = stored.anchor else { return Ok(()) };
        self.check_anchor(anchor).await?;
        if stored.cursor > anchor.position {
            // Of the events that were passed over no more is known than where they ended.
            let head = patiently!(self.store.head())?;
            if head < stored.cursor {
                let problem =
                    format!("the log ends at position {head}, and was considered up to {}", stored.cursor);
                return Err(self.store.rewound(&self.claimed.name, problem));
            }
        }
        Ok(())
    }

    async fn check_anchor(&self, anchor: EventIdentity) -> Result<()> {
        let after = Position::new(anchor.position.get() - 1);
        let read = LogRead { filter: EventFilter::default(), after, limit: 1 };
        let action = format!("read the log at position {}", anchor.position);
        let page = patiently!(self.store.engine_dyn().read_log(&read).map_err(Error::engine(&action)))?;
        let found = page.events.first().map(StoredEvent::identity);
        if found == Some(anchor) {
            return Ok(());
        }
        Err(self.store.lost_event(&self.claimed.name, anchor.position))
    }

    pub(super) fn failed(&self, what: &'static str, error: OwnerError) -> Error {
        match error {
            OwnerError::Fenced(reason) => self.fenced(reason),
            OwnerError::Engine(source) => {
                Error::Engine { action: format!("{what} the subscription {:?}", self.claimed.name), source }
            }
            OwnerError::Moved(cursor) => {
                let problem = format!("its cursor is at {cursor}, and was left at {}", self.cursor);
                let engine = self.store.engine_dyn().name();
                let source = EngineError::new(engine, "move a cursor", EngineErrorKind::Corrupt, problem);
                Error::Engine { action: format!("{what} the subscription {:?}", self.claimed.name), source }
            }
        }
    }
}
