//! A wrapper engine that counts round trips and fails on demand.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use evercore::{
    AggregateId, AggregateTypeId, NaturalKey, Position,
    engine::{
        Changes, Checkpoint, Claim, CommitError, CommitOutcome, EngineError, EngineErrorKind, Fenced,
        FencingToken, IdBlock, Listener, Load, LoadedAggregate, LogPage, LogRead, NewSubscription,
        OwnerError, PastCommit, Renewal, StorageEngine, StoredFailedDelivery, StoredSubscription,
        SubscriptionChange, SubscriptionEngine, SubscriptionList, Timestamp, TypeCatalog, TypeNames,
    },
};
use evercore_memory::MemoryEngine;

/// What the next commit does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It fails before anything is written.
    Before(EngineErrorKind),
    /// It writes, and then the connection is lost.
    AfterCommit,
    /// The connection is lost, and nothing was written.
    Lost,
    /// It writes nothing and never answers.
    HangsBefore,
    /// It writes and never answers.
    HangsAfter,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ObservedEngine {
    inner: MemoryEngine,
    calls: Arc<AtomicUsize>,
    faults: Arc<Mutex<Vec<Fault>>>,
    busy_definitions: Arc<AtomicUsize>,
    loses_events: Arc<AtomicBool>,
}

impl ObservedEngine {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Commits from now on meet these faults, one each, the last one first.
    pub(crate) fn fail_commits(&self, faults: &[Fault]) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// The engine is busy the next so many times that types are to be defined.
    pub(crate) fn fail_definitions(&self, times: usize) {
        self.busy_definitions.store(times, Ordering::SeqCst);
    }

    /// Loads from now on lack the last event of each aggregate, against the contract.
    pub(crate) fn lose_events(&self) {
        self.loses_events.store(true, Ordering::SeqCst);
    }

    /// How many calls there were since the last time this was asked.
    pub(crate) fn take_calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }

    fn counted(&self) -> &MemoryEngine {
        self.calls.fetch_add(1, Ordering::SeqCst);
        &self.inner
    }

    fn error(kind: EngineErrorKind) -> EngineError {
        EngineError::new("observed", "commit", kind, "a fault of the test")
    }
}

#[deny(clippy::missing_trait_methods)]
impl StorageEngine for ObservedEngine {
    fn name(&self) -> &'static str {
        "observed"
    }

    async fn define_types(&self, names: &TypeNames) -> Result<TypeCatalog, EngineError> {
        let one_less = |left: usize| left.checked_sub(1);
        if self.busy_definitions.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return Err(Self::error(EngineErrorKind::Busy));
        }
        self.counted().define_types(names).await
    }

    async fn types(&self) -> Result<TypeCatalog, EngineError> {
        self.counted().types().await
    }

    async fn reserve_ids(&self, count: u32) -> Result<IdBlock, EngineError> {
        self.counted().reserve_ids(count).await
    }

    async fn commit(&self, changes: &Changes) -> Result<CommitOutcome, CommitError> {
        let fault = self.faults.lock().unwrap().pop();
        let lost = || CommitError::OutcomeUnknown(Self::error(EngineErrorKind::ConnectionLost));
        match fault {
            None => self.counted().commit(changes).await,
            Some(Fault::Before(kind)) => Err(Self::error(kind).into()),
            Some(Fault::Lost) => Err(lost()),
            Some(Fault::HangsBefore) => std::future::pending().await,
            Some(Fault::HangsAfter) => {
                self.counted().commit(changes).await?;
                std::future::pending().await
            }
            Some(Fault::AfterCommit) => {
                self.counted().commit(changes).await?;
                Err(lost())
            }
        }
    }

    async fn find_commit(&self, key: &str) -> Result<Option<PastCommit>, EngineError> {
        self.counted().find_commit(key).await
    }

    async fn forget_keys(&self, before: Timestamp) -> Result<u64, EngineError> {
        self.counted().forget_keys(before).await
    }

    async fn find_by_key(
        &self,
        type_id: AggregateTypeId,
        key: &NaturalKey,
    ) -> Result<Option<AggregateId>, EngineError> {
        self.counted().find_by_key(type_id, key).await
    }

    async fn load(&self, requests: &[Load]) -> Result<Vec<Option<LoadedAggregate>>, EngineError> {
        // As with a database, other tasks come between question and answer.
        tokio::task::yield_now().await;
        let mut loaded = self.counted().load(requests).await?;
        if self.loses_events.load(Ordering::SeqCst) {
            loaded.iter_mut().flatten().for_each(|aggregate| drop(aggregate.events.pop()));
        }
        Ok(loaded)
    }

    async fn aggregate_ids(
        &self,
        type_id: AggregateTypeId,
        after: Option<AggregateId>,
        limit: u32,
    ) -> Result<Vec<AggregateId>, EngineError> {
        self.counted().aggregate_ids(type_id, after, limit).await
    }

    async fn read_log(&self, read: &LogRead) -> Result<LogPage, EngineError> {
        self.counted().read_log(read).await
    }

    async fn head(&self) -> Result<Position, EngineError> {
        self.counted().head().await
    }

    async fn locate(&self, since: Timestamp) -> Result<Position, EngineError> {
        self.counted().locate(since).await
    }

    fn watch(&self) -> Listener {
        self.inner.watch()
    }

    async fn close(&self) -> Result<(), EngineError> {
        self.counted().close().await
    }
}

#[deny(clippy::missing_trait_methods)]
impl SubscriptionEngine for ObservedEngine {
    async fn define_subscription(
        &self,
        subscription: &NewSubscription,
    ) -> Result<StoredSubscription, EngineError> {
        self.counted().define_subscription(subscription).await
    }

    async fn claim_subscription(
        &self,
        name: &str,
        owner: &str,
        lease: Duration,
    ) -> Result<Claim, EngineError> {
        self.counted().claim_subscription(name, owner, lease).await
    }

    async fn renew_leases(&self, renewals: &[Renewal]) -> Result<Vec<Option<Fenced>>, EngineError> {
        self.counted().renew_leases(renewals).await
    }

    async fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), OwnerError> {
        self.counted().checkpoint(checkpoint).await
    }

    async fn release_subscription(
        &self,
        name: &str,
        token: FencingToken,
        failure: Option<&str>,
    ) -> Result<(), OwnerError> {
        self.counted().release_subscription(name, token, failure).await
    }

    async fn change_subscription(
        &self,
        name: &str,
        change: &SubscriptionChange,
        token: Option<FencingToken>,
    ) -> Result<Option<StoredSubscription>, OwnerError> {
        self.counted().change_subscription(name, change, token).await
    }

    async fn subscriptions(&self, name: Option<&str>) -> Result<SubscriptionList, EngineError> {
        self.counted().subscriptions(name).await
    }

    async fn failed_deliveries(
        &self,
        name: &str,
        after: Position,
        limit: u32,
    ) -> Result<Vec<StoredFailedDelivery>, EngineError> {
        self.counted().failed_deliveries(name, after, limit).await
    }

    async fn drop_failed_delivery(&self, name: &str, position: Position) -> Result<bool, EngineError> {
        self.counted().drop_failed_delivery(name, position).await
    }
}
