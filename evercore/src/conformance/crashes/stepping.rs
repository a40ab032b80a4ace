//! An engine that says each step, and stops at one.

use std::{future::pending, sync::Mutex, time::Duration};

use super::process::say;
use crate::{
    AggregateId, AggregateTypeId, NaturalKey, Position,
    engine::{
        Changes, Checkpoint, Claim, CommitError, CommitOutcome, EngineError, Fenced, FencingToken, IdBlock,
        Listener, Load, LoadedAggregate, LogPage, LogRead, NewSubscription, OwnerError, PastCommit, Renewal,
        StorageEngine, StoredFailedDelivery, StoredSubscription, SubscriptionChange, SubscriptionEngine,
        SubscriptionList, Timestamp, TransactionalEngine, TypeCatalog, TypeNames,
    },
};

/// An engine that says what is done with subscriptions, and stops at a step.
#[derive(Debug)]
pub(super) struct Stepping<E> {
    inner: E,
    steps: Steps,
}

/// What says the steps, and stops.
#[derive(Debug)]
pub(super) struct Steps {
    /// Where to stop, and how often that step was taken.
    stop: Option<(String, Mutex<u32>)>,
}

impl Steps {
    /// Stops at this step, when it is about to be taken for the second time.
    pub(super) fn new(stop: Option<String>) -> Self {
        Self { stop: stop.map(|step| (step, Mutex::new(0))) }
    }

    /// Says that the next step is this one. Does not return where the process is to be killed.
    pub(super) async fn take(&self, step: &str) {
        say(step, Position::START);
        let Some((stop, taken)) = &self.stop else { return };
        if stop != step {
            return;
        }
        let is_the_end = {
            let mut taken = taken.lock().unwrap();
            *taken += 1;
            *taken == 2
        };
        if is_the_end {
            say("stopped", Position::START);
            pending::<()>().await;
        }
    }
}

impl<E> Stepping<E> {
    pub(super) fn new(inner: E, stop: Option<String>) -> Self {
        Self { inner, steps: Steps::new(stop) }
    }

    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }
}

/// Methods that do what the engine does.
macro_rules! pass_on {
    ($($method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(async fn $method(&self, $($argument: $type),*) -> $answer {
            self.inner.$method($($argument),*).await
        })*
    };
}

impl<E: TransactionalEngine> TransactionalEngine for Stepping<E> {
    type Transaction = E::Transaction;

    const BLOCKS_WRITERS: bool = E::BLOCKS_WRITERS;

    async fn begin(&self) -> Result<Self::Transaction, EngineError> {
        self.steps.take("begin").await;
        let transaction = self.inner.begin().await;
        self.steps.take("begun").await;
        transaction
    }

    async fn commit_in(
        &self,
        changes: &Changes,
        transaction: &mut Self::Transaction,
    ) -> Result<CommitOutcome, CommitError> {
        self.inner.commit_in(changes, transaction).await
    }

    async fn checkpoint_in(
        &self,
        checkpoint: &Checkpoint,
        transaction: &mut Self::Transaction,
    ) -> Result<(), OwnerError> {
        self.steps.take("checkpoint").await;
        let moved = self.inner.checkpoint_in(checkpoint, transaction).await;
        self.steps.take("checkpointed").await;
        moved
    }

    async fn finish(&self, transaction: Self::Transaction) -> Result<(), EngineError> {
        self.steps.take("finish").await;
        let finished = self.inner.finish(transaction).await;
        self.steps.take("finished").await;
        finished
    }
}

impl<E: StorageEngine> SubscriptionEngine for Stepping<E> {
    async fn claim_subscription(
        &self,
        name: &str,
        owner: &str,
        lease: Duration,
    ) -> Result<Claim, EngineError> {
        let claim = self.inner.claim_subscription(name, owner, lease).await;
        match &claim {
            Ok(Claim::Claimed(_)) => self.steps.take("claimed").await,
            Ok(_) => self.steps.take("held").await,
            Err(_) => {}
        }
        claim
    }

    async fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), OwnerError> {
        self.steps.take("checkpoint").await;
        let moved = self.inner.checkpoint(checkpoint).await;
        self.steps.take("checkpointed").await;
        moved
    }

    pass_on! {
        define_subscription(subscription: &NewSubscription) -> Result<StoredSubscription, EngineError>;
        renew_leases(renewals: &[Renewal]) -> Result<Vec<Option<Fenced>>, EngineError>;
        release_subscription(name: &str, token: FencingToken, failure: Option<&str>) -> Result<(), OwnerError>;
        change_subscription(name: &str, change: &SubscriptionChange, token: Option<FencingToken>)
            -> Result<Option<StoredSubscription>, OwnerError>;
        subscriptions(name: Option<&str>) -> Result<SubscriptionList, EngineError>;
        failed_deliveries(name: &str, after: Position, limit: u32)
            -> Result<Vec<StoredFailedDelivery>, EngineError>;
        drop_failed_delivery(name: &str, position: Position) -> Result<bool, EngineError>;
    }
}

impl<E: StorageEngine> StorageEngine for Stepping<E> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn watch(&self) -> Listener {
        self.inner.watch()
    }

    pass_on! {
        define_types(names: &TypeNames) -> Result<TypeCatalog, EngineError>;
        types() -> Result<TypeCatalog, EngineError>;
        reserve_ids(count: u32) -> Result<IdBlock, EngineError>;
        commit(changes: &Changes) -> Result<CommitOutcome, CommitError>;
        find_commit(key: &str) -> Result<Option<PastCommit>, EngineError>;
        forget_keys(before: Timestamp) -> Result<u64, EngineError>;
        find_by_key(type_id: AggregateTypeId, key: &NaturalKey) -> Result<Option<AggregateId>, EngineError>;
        load(requests: &[Load]) -> Result<Vec<Option<LoadedAggregate>>, EngineError>;
        aggregate_ids(type_id: AggregateTypeId, after: Option<AggregateId>, limit: u32)
            -> Result<Vec<AggregateId>, EngineError>;
        read_log(read: &LogRead) -> Result<LogPage, EngineError>;
        head() -> Result<Position, EngineError>;
        locate(since: Timestamp) -> Result<Position, EngineError>;
        close() -> Result<(), EngineError>;
    }
}
