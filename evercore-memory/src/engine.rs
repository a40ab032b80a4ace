//! The engine: one lock around the tables, held for one call and never while foreign code runs.

use std::sync::{
    Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, Ordering},
};

use evercore::{
    AggregateId, AggregateTypeId, NaturalKey, Position,
    engine::{
        Changes, CommitError, CommitOutcome, Doorbell, EngineError, EngineErrorKind, IdBlock, Listener, Load,
        LoadedAggregate, LogPage, LogRead, PastCommit, StorageEngine, Timestamp, TypeCatalog, TypeNames,
    },
};

use crate::tables::Tables;

const NAME: &str = "memory";

/// A store in memory.
///
/// Clones are handles of the same engine: what one closes is closed for all. [`reopen`](Self::reopen) gives
/// another engine on the same store.
#[derive(Debug, Clone, Default)]
pub struct MemoryEngine {
    store: Arc<Store>,
    closed: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Store {
    tables: RwLock<Tables>,
    doorbell: Doorbell,
}

/// Why calls fail after [`StorageEngine::close`].
#[derive(Debug, thiserror::Error)]
#[error("it was closed by `close`")]
struct Closed;

impl MemoryEngine {
    /// A new, empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another engine on the same store, as another process would open a database, or the same process after
    /// a restart. It is open, whatever happened to this one.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self { store: Arc::clone(&self.store), closed: Arc::default() }
    }

    pub(crate) fn read(&self, operation: &'static str) -> Result<RwLockReadGuard<'_, Tables>, EngineError> {
        // No half-written commit hides behind a poisoned lock: commits are checked before they write.
        let tables = self.store.tables.read().unwrap_or_else(PoisonError::into_inner);
        self.check_open(operation)?;
        Ok(tables)
    }

    pub(crate) fn write(&self, operation: &'static str) -> Result<RwLockWriteGuard<'_, Tables>, EngineError> {
        let tables = self.store.tables.write().unwrap_or_else(PoisonError::into_inner);
        self.check_open(operation)?;
        Ok(tables)
    }

    /// Called under the lock: when `close` returns, nothing is under way any more.
    fn check_open(&self, operation: &'static str) -> Result<(), EngineError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(EngineError::new(NAME, operation, EngineErrorKind::Closed, Closed));
        }
        Ok(())
    }
}

impl StorageEngine for MemoryEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn define_types(&self, names: &TypeNames) -> Result<TypeCatalog, EngineError> {
        let mut tables = self.write("define types")?;
        tables.define_types(names);
        Ok(tables.types.clone())
    }

    async fn types(&self) -> Result<TypeCatalog, EngineError> {
        Ok(self.read("read types")?.types.clone())
    }

    async fn reserve_ids(&self, count: u32) -> Result<IdBlock, EngineError> {
        Ok(self.write("reserve ids")?.reserve_ids(count))
    }

    async fn commit(&self, changes: &Changes) -> Result<CommitOutcome, CommitError> {
        // The lock ends with this statement: who is woken by the doorbell can read at once.
        let outcome = self.write("commit")?.commit(changes)?;
        if let CommitOutcome::Committed { last_position: Some(_), .. } = outcome {
            self.store.doorbell.ring();
        }
        Ok(outcome)
    }

    async fn find_commit(&self, key: &str) -> Result<Option<PastCommit>, EngineError> {
        Ok(self.read("find a commit by its idempotency key")?.commits.get(key).cloned())
    }

    async fn forget_keys(&self, before: Timestamp) -> Result<u64, EngineError> {
        Ok(self.write("forget idempotency keys")?.forget_commits(before))
    }

    async fn find_by_key(
        &self,
        type_id: AggregateTypeId,
        key: &NaturalKey,
    ) -> Result<Option<AggregateId>, EngineError> {
        Ok(self.read("find an aggregate")?.find_by_key(type_id, key))
    }

    async fn load(&self, requests: &[Load]) -> Result<Vec<Option<LoadedAggregate>>, EngineError> {
        let tables = self.read("load aggregates")?;
        Ok(requests.iter().map(|request| tables.load(request)).collect())
    }

    async fn aggregate_ids(
        &self,
        type_id: AggregateTypeId,
        after: Option<AggregateId>,
        limit: u32,
    ) -> Result<Vec<AggregateId>, EngineError> {
        Ok(self.read("list aggregates")?.aggregate_ids(type_id, after, limit))
    }

    async fn read_log(&self, read: &LogRead) -> Result<LogPage, EngineError> {
        Ok(self.read("read the log")?.read_log(read))
    }

    async fn head(&self) -> Result<Position, EngineError> {
        Ok(self.read("find the head of the log")?.head())
    }

    async fn locate(&self, since: Timestamp) -> Result<Position, EngineError> {
        Ok(self.read("locate a time in the log")?.locate(since))
    }

    fn watch(&self) -> Listener {
        self.store.doorbell.listen()
    }

    async fn close(&self) -> Result<(), EngineError> {
        let _tables = self.store.tables.write().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}
