//! A wrapper engine whose calls are counted, and fail, wait or lose their answers as a test wants it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use evercore::{
    AggregateId, AggregateTypeId, NaturalKey, Position,
    engine::{
        Changes, Checkpoint, Claim, CommitError, CommitOutcome, EngineError, EngineErrorKind, Fenced,
        FencingToken, IdBlock, Listener, Load, LoadedAggregate, LogPage, LogRead, NewSubscription,
        OwnerError, PastCommit, Renewal, StorageEngine, StoredFailedDelivery, StoredSubscription,
        SubscriptionChange, SubscriptionEngine, SubscriptionList, Timestamp, TransactionalEngine,
        TypeCatalog, TypeNames,
    },
};
use evercore_memory::MemoryEngine;
use tokio::sync::Semaphore;

/// The calls that tests count and disturb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Types,
    Write,
    Find,
    ReadLog,
    Head,
    Define,
    Claim,
    Renew,
    Checkpoint,
    Release,
    Change,
    List,
    Failed,
    Begin,
    Finish,
}

#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing is done.
    Fails(EngineErrorKind),
    /// It is done, and the connection is lost.
    AnswerLost,
    /// It waits, and is done then.
    Before(Gate),
    /// It is done, and waits with the answer.
    After(Gate),
    Panics,
}

pub(crate) const LOST: Fault = Fault::Fails(EngineErrorKind::ConnectionLost);

/// Where a call waits until the test lets it go on.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<(Semaphore, Semaphore)>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new((Semaphore::new(0), Semaphore::new(0))))
    }

    /// Waits until somebody stands here.
    pub(crate) async fn reached(&self) {
        self.0.0.acquire().await.unwrap().forget();
    }

    pub(crate) fn open(&self) {
        self.0.1.add_permits(1_000);
    }

    pub(crate) async fn pass(&self) {
        self.0.0.add_permits(1);
        tokio::task::yield_now().await;
        self.0.1.acquire().await.unwrap().forget();
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct FaultyEngine {
    inner: MemoryEngine,
    shared: Arc<Mutex<Shared>>,
    /// A table of the application in the same database.
    rows: Arc<Mutex<Vec<i64>>>,
}

#[derive(Debug, Default)]
struct Shared {
    calls: HashMap<Op, usize>,
    next: HashMap<Op, VecDeque<Fault>>,
    always: HashMap<Op, Fault>,
    is_down: bool,
    missing: HashSet<i64>,
    spoiled: HashSet<i64>,
    end: Option<Position>,
}

impl FaultyEngine {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Another process on the same store, with faults of its own.
    pub(crate) fn reopen(&self) -> Self {
        Self { inner: self.inner.reopen(), shared: Arc::default(), rows: Arc::clone(&self.rows) }
    }

    /// The next calls of this kind meet these faults, one each.
    pub(crate) fn disturb(&self, op: Op, faults: impl IntoIterator<Item = Fault>) {
        self.shared.lock().unwrap().next.entry(op).or_default().extend(faults);
    }

    /// All calls of this kind meet this fault.
    pub(crate) fn break_down(&self, op: Op, fault: Fault) {
        self.shared.lock().unwrap().always.insert(op, fault);
    }

    pub(crate) fn repair(&self, op: Op) {
        self.shared.lock().unwrap().always.remove(&op);
    }

    /// No call meets a fault any more.
    pub(crate) fn calm(&self) {
        self.shared.lock().unwrap().next.clear();
    }

    /// Whether there is no connection at all.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.shared.lock().unwrap().is_down = is_down;
    }

    /// Reads of the log lack the event at this position, against the contract.
    pub(crate) fn lose(&self, position: i64) {
        self.shared.lock().unwrap().missing.insert(position);
    }

    /// Reads of the log give the event at this position with metadata that cannot be read.
    pub(crate) fn spoil(&self, position: i64) {
        self.shared.lock().unwrap().spoiled.insert(position);
    }

    /// The log ends here from now on, as after the restore of a backup.
    pub(crate) fn rewind(&self, end: i64) {
        self.shared.lock().unwrap().end = Some(Position::new(end));
    }

    pub(crate) fn calls(&self, op: Op) -> usize {
        self.shared.lock().unwrap().calls.get(&op).copied().unwrap_or(0)
    }

    /// How many calls there were since the last time this was asked.
    pub(crate) fn take_calls(&self) -> HashMap<Op, usize> {
        std::mem::take(&mut self.shared.lock().unwrap().calls)
    }

    /// Loses what committed transactions have written.
    pub(crate) fn lose_rows(&self) {
        self.rows.lock().unwrap().clear();
    }

    /// What committed transactions have written.
    pub(crate) fn rows(&self) -> Vec<i64> {
        self.rows.lock().unwrap().clone()
    }

    async fn call<T: Send, E: From<EngineError> + Send>(
        &self,
        op: Op,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let fault = {
            let mut shared = self.shared.lock().unwrap();
            *shared.calls.entry(op).or_default() += 1;
            match shared.is_down {
                true => Some(LOST),
                false => {
                    let next = shared.next.get_mut(&op).and_then(VecDeque::pop_front);
                    next.or_else(|| shared.always.get(&op).cloned())
                }
            }
        };
        let error = |kind| E::from(EngineError::new("faulty", "do it", kind, "a fault of the test"));
        match fault {
            None => work.await,
            Some(Fault::Fails(kind)) => Err(error(kind)),
            Some(Fault::AnswerLost) => {
                work.await?;
                Err(error(EngineErrorKind::ConnectionLost))
            }
            Some(Fault::Before(gate)) => {
                gate.pass().await;
                work.await
            }
            Some(Fault::After(gate)) => {
                let done = work.await;
                gate.pass().await;
                done
            }
            // Without the hook, whose backtrace takes its time.
            Some(Fault::Panics) => std::panic::resume_unwind(Box::new("a fault of the test")),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl StorageEngine for FaultyEngine {
    fn name(&self) -> &'static str {
        "faulty"
    }

    async fn define_types(&self, names: &TypeNames) -> Result<TypeCatalog, EngineError> {
        self.call(Op::Types, self.inner.define_types(names)).await
    }

    async fn types(&self) -> Result<TypeCatalog, EngineError> {
        self.call(Op::Types, self.inner.types()).await
    }

    async fn reserve_ids(&self, count: u32) -> Result<IdBlock, EngineError> {
        self.call(Op::Write, self.inner.reserve_ids(count)).await
    }

    async fn commit(&self, changes: &Changes) -> Result<CommitOutcome, CommitError> {
        self.call(Op::Write, self.inner.commit(changes)).await
    }

    async fn find_commit(&self, key: &str) -> Result<Option<PastCommit>, EngineError> {
        self.call(Op::Find, self.inner.find_commit(key)).await
    }

    async fn forget_keys(&self, before: Timestamp) -> Result<u64, EngineError> {
        self.call(Op::Write, self.inner.forget_keys(before)).await
    }

    async fn find_by_key(
        &self,
        type_id: AggregateTypeId,
        key: &NaturalKey,
    ) -> Result<Option<AggregateId>, EngineError> {
        self.call(Op::Find, self.inner.find_by_key(type_id, key)).await
    }

    async fn load(&self, requests: &[Load]) -> Result<Vec<Option<LoadedAggregate>>, EngineError> {
        self.call(Op::Find, self.inner.load(requests)).await
    }

    async fn aggregate_ids(
        &self,
        type_id: AggregateTypeId,
        after: Option<AggregateId>,
        limit: u32,
    ) -> Result<Vec<AggregateId>, EngineError> {
        self.call(Op::Find, self.inner.aggregate_ids(type_id, after, limit)).await
    }

    async fn read_log(&self, read: &LogRead) -> Result<LogPage, EngineError> {
        let mut page = self.call(Op::ReadLog, self.inner.read_log(read)).await?;
        let shared = self.shared.lock().unwrap();
        page.events.retain(|event| !shared.missing.contains(&event.position.get()));
        for event in &mut page.events {
            if shared.spoiled.contains(&event.position.get()) {
                event.metadata = Some("{".to_owned());
            }
        }
        if let Some(end) = shared.end {
            page.events.retain(|event| event.position <= end);
            page.end = page.end.min(end).max(read.after);
        }
        Ok(page)
    }

    async fn head(&self) -> Result<Position, EngineError> {
        let head = self.call(Op::Head, self.inner.head()).await?;
        Ok(self.shared.lock().unwrap().end.map_or(head, |end| head.min(end)))
    }

    async fn locate(&self, since: Timestamp) -> Result<Position, EngineError> {
        self.call(Op::Head, self.inner.locate(since)).await
    }

    fn watch(&self) -> Listener {
        self.inner.watch()
    }

    async fn close(&self) -> Result<(), EngineError> {
        self.inner.close().await
    }
}

#[deny(clippy::missing_trait_methods)]
impl SubscriptionEngine for FaultyEngine {
    async fn define_subscription(
        &self,
        subscription: &NewSubscription,
    ) -> Result<StoredSubscription, EngineError> {
        self.call(Op::Define, self.inner.define_subscription(subscription)).await
    }

    async fn claim_subscription(
        &self,
        name: &str,
        owner: &str,
        lease: Duration,
    ) -> Result<Claim, EngineError> {
        self.call(Op::Claim, self.inner.claim_subscription(name, owner, lease)).await
    }

    async fn renew_leases(&self, renewals: &[Renewal]) -> Result<Vec<Option<Fenced>>, EngineError> {
        self.call(Op::Renew, self.inner.renew_leases(renewals)).await
    }

    async fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), OwnerError> {
        self.call(Op::Checkpoint, self.inner.checkpoint(checkpoint)).await
    }

    async fn release_subscription(
        &self,
        name: &str,
        token: FencingToken,
        failure: Option<&str>,
    ) -> Result<(), OwnerError> {
        self.call(Op::Release, self.inner.release_subscription(name, token, failure)).await
    }

    async fn change_subscription(
        &self,
        name: &str,
        change: &SubscriptionChange,
        token: Option<FencingToken>,
    ) -> Result<Option<StoredSubscription>, OwnerError> {
        self.call(Op::Change, self.inner.change_subscription(name, change, token)).await
    }

    async fn subscriptions(&self, name: Option<&str>) -> Result<SubscriptionList, EngineError> {
        self.call(Op::List, self.inner.subscriptions(name)).await
    }

    async fn failed_deliveries(
        &self,
        name: &str,
        after: Position,
        limit: u32,
    ) -> Result<Vec<StoredFailedDelivery>, EngineError> {
        self.call(Op::Failed, self.inner.failed_deliveries(name, after, limit)).await
    }

    async fn drop_failed_delivery(&self, name: &str, position: Position) -> Result<bool, EngineError> {
        self.call(Op::Failed, self.inner.drop_failed_delivery(name, position)).await
    }
}

/// Rows of a read model and a checkpoint, which are written together or not at all.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) rows: Vec<i64>,
    checkpoint: Option<Checkpoint>,
}

impl TransactionalEngine for FaultyEngine {
    type Transaction = Transaction;

    const BLOCKS_WRITERS: bool = false;

    async fn begin(&self) -> Result<Transaction, EngineError> {
        self.call(Op::Begin, async { Ok(Transaction::default()) }).await
    }

    async fn commit_in(&self, _: &Changes, _: &mut Transaction) -> Result<CommitOutcome, CommitError> {
        unreachable!("these tests write rows alone")
    }

    async fn checkpoint_in(
        &self,
        checkpoint: &Checkpoint,
        transaction: &mut Transaction,
    ) -> Result<(), OwnerError> {
        let list = self.inner.subscriptions(Some(&checkpoint.name)).await?;
        let stored = list.subscriptions.first().ok_or(OwnerError::Fenced(Fenced::Deleted))?;
        if stored.token != checkpoint.token || stored.owner.is_none() {
            return Err(OwnerError::Fenced(Fenced::of(stored)));
        }
        if stored.cursor != checkpoint.from {
            return Err(OwnerError::Moved(stored.cursor));
        }
        transaction.checkpoint = Some(checkpoint.clone());
        Ok(())
    }

    async fn finish(&self, transaction: Transaction) -> Result<(), EngineError> {
        let finish = async {
            if let Some(checkpoint) = &transaction.checkpoint {
                let made = self.inner.checkpoint(checkpoint).await;
                made.map_err(|error| match error {
                    OwnerError::Engine(error) => error,
                    other => {
                        let problem = format!("{other:?}");
                        EngineError::new("faulty", "commit", EngineErrorKind::Other, problem)
                    }
                })?;
            }
            self.rows.lock().unwrap().extend(&transaction.rows);
            Ok(())
        };
        self.call(Op::Finish, finish).await
    }
}
