//! The contract between evercore and the databases that it runs on.
//!
//! Applications need nothing of this module: they give an engine to [`EventStore::open`](crate::EventStore::open)
//! and use the store. Engine authors implement [`StorageEngine`], and [`TransactionalEngine`] where callers
//! can own transactions, and run the suite in `evercore::conformance` (feature `conformance`).

mod doorbell;
mod erased;
mod error;
mod subscription_types;
mod subscriptions;
mod types;

pub(crate) use self::erased::AnyEngine;
pub use self::{
    doorbell::{Doorbell, Listener},
    error::{CommitError, EngineError, EngineErrorKind},
    subscription_types::{
        Checkpoint, Claim, EventIdentity, Fenced, NewFailedDelivery, NewSubscription, Owner, OwnerError,
        Renewal, StoredFailedDelivery, StoredSubscription, SubscriptionChange, SubscriptionList,
    },
    subscriptions::SubscriptionEngine,
    types::{
        AggregateChange, Changes, CommitOutcome, EventFilter, Expected, IdBlock, Idempotency, KeyChange,
        Load, LoadTarget, LoadedAggregate, LoadedSnapshot, LogPage, LogRead, NewEvent, NewSnapshot,
        PastCommit, SnapshotUse, StoredEvent, StoredSnapshot, TypeCatalog, TypeNames,
    },
};
use crate::{AggregateId, AggregateTypeId, NaturalKey, Position};
pub use crate::{context::Prepared, id::FencingToken, time::Timestamp};

/// A place where events are stored.
///
/// # Contract
///
/// This trait is for engine authors; applications use [`EventStore`](crate::EventStore). An engine stores
/// and finds, it decides nothing: what an aggregate is, when a snapshot is due, what a retry means is
/// evercore's. Nothing here assumes SQL: ids and positions are opaque numbers that grow.
///
/// Each bullet under *Behavior* has a case in the conformance suite. All methods may be called from any
/// number of tasks at once.
///
/// Round trips to the database, when all goes well: [`load`](Self::load) 1, [`commit`](Self::commit) 1,
/// [`read_log`](Self::read_log) 1 where the log has no gap.
pub trait StorageEngine: SubscriptionEngine {
    /// The engine's name in errors and traces: `memory`, `sqlite`.
    fn name(&self) -> &'static str;

    /// Gives an id to every name that has none yet, and returns all types of the store.
    ///
    /// # Behavior
    ///
    /// - A name keeps its id for ever, also over a restart.
    /// - Aggregate types and event types are apart: one name may be both.
    /// - Names differ when one byte differs; case and accents count.
    /// - Callers that define the same names at the same time get the same ids.
    /// - Types that others defined are returned too.
    ///
    /// # Errors
    ///
    /// [`EngineErrorKind::ReadOnly`] when a name has no id and none can be given.
    ///
    /// # Cancel safety
    ///
    /// The names are defined or not; ids that were given stay.
    fn define_types(
        &self,
        names: &TypeNames,
    ) -> impl Future<Output = Result<TypeCatalog, EngineError>> + Send;

    /// All types of the store.
    ///
    /// # Behavior
    ///
    /// - A new store has none.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    fn types(&self) -> impl Future<Output = Result<TypeCatalog, EngineError>> + Send;

    /// Reserves ids for new aggregates.
    ///
    /// # Behavior
    ///
    /// - No id is handed out twice, also over a restart; ids are at least 1 and grow.
    /// - Reserving creates no aggregate.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to.
    ///
    /// # Cancel safety
    ///
    /// Ids may be lost, never handed out twice.
    fn reserve_ids(&self, count: u32) -> impl Future<Output = Result<IdBlock, EngineError>> + Send;

    /// Writes the changes of one unit of work.
    ///
    /// The caller guarantees what [`Changes`] says of itself, and type ids from this engine.
    ///
    /// # Behavior
    ///
    /// - All or nothing: after an error nothing is there.
    /// - A known idempotency key is answered with [`CommitOutcome::Repeated`] before anything else is looked
    ///   at, and nothing is written. Of several commits with one key at the same time one is made.
    /// - Every aggregate must be at exactly the expected sequence, and have the key it is expected to have;
    ///   else [`CommitError::Conflict`], whose `actual` is the sequence at that moment.
    /// - An aggregate that is new but exists is a conflict too; one that should exist and does not is
    ///   [`CommitError::UnknownAggregate`].
    /// - Required aggregates, which get neither events nor another key, stay as they are until the commit is
    ///   visible: of two commits that each require what the other writes, at most one succeeds.
    /// - A key that is set to what it is stays, and is checked.
    /// - Natural keys are unique within an aggregate type: else [`CommitError::DuplicateKey`]. The same key
    ///   under two types is fine. Keys are compared when all of them have changed, so they can be swapped
    ///   and reused within one commit.
    /// - Events get positions in their order, above all positions of commits that were visible before.
    /// - All events of a commit are recorded at the same time, by the store's clock: the `committed_at` of the
    ///   outcome.
    /// - Of an aggregate's snapshots one is kept: a new one replaces an older one or one of the same sequence,
    ///   and does nothing beside a later one.
    /// - What is written comes back as it was, also after a restart: texts byte by byte, payloads of every
    ///   codec, times to the microsecond, also those before 1970.
    /// - Opposite orders of the same aggregates in commits at the same time do not deadlock.
    /// - A commit that wrote events rings the doorbell.
    ///
    /// # Errors
    ///
    /// As above, and [`CommitError::OutcomeUnknown`] when the connection broke at the wrong moment.
    ///
    /// # Cancel safety
    ///
    /// The changes are written as a whole, or nothing is.
    fn commit(&self, changes: &Changes) -> impl Future<Output = Result<CommitOutcome, CommitError>> + Send;

    /// The commit that was made under an idempotency key.
    ///
    /// # Behavior
    ///
    /// - A commit that is visible has its key visible too; a key that was not used finds nothing.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    fn find_commit(&self, key: &str) -> impl Future<Output = Result<Option<PastCommit>, EngineError>> + Send;

    /// Forgets the idempotency keys of commits made before a time, and says how many those were.
    ///
    /// # Behavior
    ///
    /// - A forgotten key can be used again; keys of later commits stay.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to.
    ///
    /// # Cancel safety
    ///
    /// Some of the keys may be forgotten already.
    fn forget_keys(&self, before: Timestamp) -> impl Future<Output = Result<u64, EngineError>> + Send;

    /// The id of the aggregate with this key.
    ///
    /// # Behavior
    ///
    /// - Finds the key within its type only; a key that was given up finds nothing.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    fn find_by_key(
        &self,
        type_id: AggregateTypeId,
        key: &NaturalKey,
    ) -> impl Future<Output = Result<Option<AggregateId>, EngineError>> + Send;

    /// Loads aggregates, one answer for each request, in the order of the requests.
    ///
    /// # Behavior
    ///
    /// - An aggregate that does not exist is `None`.
    /// - Version, snapshot and events of an aggregate belong to one moment.
    /// - Events come in the order of their sequences, those after [`Load::after`] and after the snapshot.
    /// - With a limit the first events are returned; version and snapshot are not affected.
    /// - A snapshot with another fingerprint than the fitting one is a [`LoadedSnapshot::Misfit`].
    /// - A snapshot at or before [`Load::after`] is [`LoadedSnapshot::None`].
    /// - The same request twice gets the same answer twice.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or what it holds contradicts itself.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    fn load(
        &self,
        requests: &[Load],
    ) -> impl Future<Output = Result<Vec<Option<LoadedAggregate>>, EngineError>> + Send;

    /// Ids of the aggregates of a type, in their order: at most `limit` of those after `after`.
    ///
    /// # Behavior
    ///
    /// - Page by page every aggregate of the type comes once, with events or without; those of other types do
    ///   not come.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    fn aggregate_ids(
        &self,
        type_id: AggregateTypeId,
        after: Option<AggregateId>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<AggregateId>, EngineError>> + Send;

    /// Reads a page of the log.
    ///
    /// # Behavior
    ///
    /// - Only settled events are returned: none that comes later has a lower position.
    /// - The filter is applied before the limit.
    /// - A full page ends at its last event; one that is not full ends at the settled head, or further on
    ///   than `after` when it stopped on the way.
    /// - After the head there is nothing: no events, and the end is `after`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    fn read_log(&self, read: &LogRead) -> impl Future<Output = Result<LogPage, EngineError>> + Send;

    /// The position of the last settled event.
    ///
    /// # Behavior
    ///
    /// - In an empty store it is [`Position::START`].
    /// - Every commit that returned before the call is covered. An engine that reads a copy, which can be late,
    ///   covers what the copy has, and says so in its documentation.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    fn head(&self) -> impl Future<Output = Result<Position, EngineError>> + Send;

    /// The position after which the events recorded at `since` or later begin: all before the first of them,
    /// or the settled head when there is none.
    ///
    /// # Behavior
    ///
    /// - An event recorded exactly at `since` comes after it.
    /// - When nothing was recorded at `since` or later, it is the settled head.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    fn locate(&self, since: Timestamp) -> impl Future<Output = Result<Position, EngineError>> + Send;

    /// Hears the engine's doorbell.
    ///
    /// # Behavior
    ///
    /// - It rings after commits that wrote events, when they can be read, for everyone who listens.
    fn watch(&self) -> Listener;

    /// Finishes what is under way, and gives files and connections back.
    ///
    /// # Behavior
    ///
    /// - Later calls fail with [`EngineErrorKind::Closed`]; closing twice is fine.
    /// - A call that is under way is finished, or fails with [`EngineErrorKind::Closed`] and did nothing.
    /// - Other engines on the same store stay open.
    ///
    /// # Errors
    ///
    /// When what is under way cannot be finished.
    ///
    /// # Cancel safety
    ///
    /// Closing goes on.
    fn close(&self) -> impl Future<Output = Result<(), EngineError>> + Send;
}

/// An engine that can write inside a transaction that its caller owns.
pub trait TransactionalEngine: StorageEngine {
    /// A transaction of the database.
    type Transaction: Send;

    /// Whether commits, and everything else that writes, wait until an open transaction has ended: whoever
    /// holds one and commits to the store waits for itself.
    const BLOCKS_WRITERS: bool;

    /// Begins a transaction that can write.
    ///
    /// # Errors
    ///
    /// When there is no connection, or the store cannot be written to.
    fn begin(&self) -> impl Future<Output = Result<Self::Transaction, EngineError>> + Send;

    /// Writes changes as [`StorageEngine::commit`] does, in the caller's transaction.
    ///
    /// # Behavior
    ///
    /// - When the caller rolls back, nothing is there; when it commits, everything is.
    ///
    /// # Errors
    ///
    /// As for [`StorageEngine::commit`]. After an error the caller must roll back.
    fn commit_in(
        &self,
        changes: &Changes,
        transaction: &mut Self::Transaction,
    ) -> impl Future<Output = Result<CommitOutcome, CommitError>> + Send;

    /// Moves the cursor of a subscription as [`SubscriptionEngine::checkpoint`] does, in the caller's transaction.
    ///
    /// # Behavior
    ///
    /// - When the caller rolls back, the cursor is where it was; when it commits, it has moved.
    /// - Of two transactions that move it from the same position at most one commits.
    ///
    /// # Errors
    ///
    /// As for [`SubscriptionEngine::checkpoint`]. After an error the caller must roll back.
    fn checkpoint_in(
        &self,
        checkpoint: &Checkpoint,
        transaction: &mut Self::Transaction,
    ) -> impl Future<Output = Result<(), OwnerError>> + Send;

    /// Commits the transaction and rings the doorbell.
    ///
    /// # Errors
    ///
    /// When the database does not say that it committed.
    fn finish(&self, transaction: Self::Transaction) -> impl Future<Output = Result<(), EngineError>> + Send;
}
