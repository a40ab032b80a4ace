//! The unit of work.

mod buffer;
mod commit;
mod read;
mod status;
mod write;

use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::buffer::Buffer;
pub use self::commit::Prepared;
pub(crate) use self::{
    commit::Outcome,
    status::{Status, UnitStatus},
};
use crate::{Error, EventOptions, EventStore, Result};

/// The kind of a [`Context`] that can write.
#[derive(Debug, Clone, Copy)]
pub enum ReadWrite {}

/// The kind of a [`Context`] that can only read.
#[derive(Debug, Clone, Copy)]
pub enum ReadOnly {}

/// A context for code that must not write. It has all the reads of a [`Context`].
pub type ReadContext = Context<ReadOnly>;

/// A unit of work: loads aggregates, buffers changes, and writes them in one atomic
/// [`commit`](Context::commit).
///
/// It is a cheap handle. Its methods take `&self`, so that it can be moved into futures and two loads can
/// run at once; clones share the unit of work. Dropping it writes nothing. After a commit, also after one
/// that failed, and after a panic in an `apply`, every operation is [`Error::ContextClosed`].
///
/// Reads see the buffered changes: an aggregate with its buffered events, a key with its new holder.
///
/// ```
/// # use evercore::{Aggregate, EventStore, state_event};
/// # use evercore_memory::MemoryEngine;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(events(AccountOpened))]
/// # struct Account { owner: String }
/// # #[state_event(Account)]
/// # struct AccountOpened { owner: String }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> evercore::Result<()> {
/// let store = EventStore::open::<Account>(MemoryEngine::new()).await?;
///
/// let ctx = store.begin();
/// let mut account = ctx.create_with_key::<Account>("A-1").await?;
/// ctx.apply(&mut account, AccountOpened { owner: "Ada".into() })?;
/// assert_eq!(ctx.load_by_key::<Account>("A-1").await?.owner, "Ada");
/// ctx.commit().await?;
///
/// assert_eq!(store.load(account.id()).await?.owner, "Ada");
/// # Ok(())
/// # }
/// ```
pub struct Context<Mode = ReadWrite> {
    store: EventStore,
    unit: Arc<UnitOfWork>,
    mode: PhantomData<fn() -> Mode>,
}

/// What the clones of a context share.
#[derive(Default)]
struct UnitOfWork {
    status: Arc<UnitStatus>,
    defaults: EventOptions,
    idempotency_key: Option<String>,
    buffer: Mutex<Buffer>,
}

impl<Mode> Context<Mode> {
    pub(crate) fn new(store: EventStore, defaults: EventOptions, idempotency_key: Option<String>) -> Self {
        let unit = UnitOfWork { defaults, idempotency_key, ..UnitOfWork::default() };
        Self { store, unit: Arc::new(unit), mode: PhantomData }
    }

    /// Whether an operation failed in a way that makes it worth while to run the unit of work again.
    pub(crate) fn wants_retry(&self) -> bool {
        self.unit.status.wants_retry()
    }

    /// Remembers an error that another run may not meet, whatever the caller makes of it.
    fn noted<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && (error.is_conflict() || error.is_temporary())
        {
            self.unit.status.note_retry();
        }
        result
    }

    fn check_open(&self) -> Result<()> {
        self.buffer().map(drop)
    }

    /// The buffer, while nothing was committed.
    fn buffer(&self) -> Result<MutexGuard<'_, Buffer>> {
        // A poisoned lock: an `apply` has panicked, and perhaps left half of a change in a copy.
        let Ok(buffer) = self.unit.buffer.lock() else { return Err(Error::ContextClosed) };
        // Looked at under the lock: a commit closes the unit of work under the same one.
        if self.unit.status.get() == Status::Open { Ok(buffer) } else { Err(Error::ContextClosed) }
    }
}

impl<Mode> Clone for Context<Mode> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), unit: Arc::clone(&self.unit), mode: PhantomData }
    }
}

impl<Mode> fmt::Debug for Context<Mode> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buffer = self.unit.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Context")
            .field("status", &self.unit.status.get())
            .field("aggregates", &buffer.entries.len())
            .field("events", &buffer.events.len())
            .finish_non_exhaustive()
    }
}
