//! The store: what applications open.

use std::{
    any::TypeId,
    fmt,
    sync::{Arc, Weak},
};

use chrono::{DateTime, Utc};

use crate::{
    Aggregate, AggregateId, AggregateType, Context, Error, EventOptions, NaturalKey, Position, ReadContext,
    Receipt, Registry, Result, StateAggregate, Unit,
    engine::{AnyEngine, EngineErrorKind, Listener, StorageEngine},
    id_blocks::IdBlocks,
    subscription::Hub,
    type_cache::{Binding, TypeCache},
    waiting,
};

/// A store of events on some engine. A cheap handle: clones share the store.
///
/// The engine's type does not show, so one program can choose among several at run time.
#[derive(Clone)]
pub struct EventStore {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Box<dyn AnyEngine>,
    types: TypeCache,
    ids: IdBlocks,
    hub: Hub,
}

/// A handle that does not keep the store open.
#[derive(Debug, Clone)]
pub(crate) struct WeakStore(Weak<Inner>);

impl WeakStore {
    pub(crate) fn upgrade(&self) -> Option<EventStore> {
        self.0.upgrade().map(|inner| EventStore { inner })
    }
}

impl EventStore {
    /// Opens a store for the aggregates of a registry, or for a single aggregate: gives an id to each of
    /// their names that has none yet, and learns all types of the store.
    ///
    /// On an engine that is read-only the names are looked up, and none is defined.
    ///
    /// The registry does not bind the store: an aggregate that it lacks can be used all the same, and gets
    /// ids for its names when it is first written. Only [`RecordedEvent::decode`](crate::RecordedEvent::decode)
    /// by that registry fails at its events.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidText`] for a name that no store can keep, [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Some names may be defined already.
    pub async fn open<R: Registry>(engine: impl StorageEngine) -> Result<Self> {
        let inner = Inner {
            engine: Box::new(engine),
            types: TypeCache::default(),
            ids: IdBlocks::default(),
            hub: Hub::default(),
        };
        let aggregates = R::TYPES.aggregates();
        for aggregate in &aggregates {
            aggregate.check_names()?;
        }
        match inner.types.define(&*inner.engine, &aggregates).await {
            Err(error) if error.kind() != EngineErrorKind::ReadOnly => {
                Err(Error::engine("open the store")(error))
            }
            _ => Ok(Self { inner: Arc::new(inner) }),
        }
    }

    /// Begins a unit of work. Nothing is written before its [`commit`](Context::commit).
    #[must_use]
    pub fn begin(&self) -> Context {
        self.unit().begin()
    }

    /// Begins a context that can only read.
    #[must_use]
    pub fn read_only(&self) -> ReadContext {
        ReadContext::new(self.clone(), EventOptions::new(), None)
    }

    /// Runs a closure in a unit of work, and commits when it answers `Ok`.
    ///
    /// Accepted are `async |ctx| { … }`, which may borrow from its surroundings, `async move |ctx| { … }`, and
    /// `move |ctx| async move { … }`. The closure must not commit by itself.
    ///
    /// To have it run again after a conflict, and to get the receipt, there is [`unit`](Self::unit). When the
    /// compiler says that `From<…>` is not implemented for [`Error`], the closure has an error of its own:
    /// take [`try_with_context`](Self::try_with_context).
    ///
    /// # Errors
    ///
    /// Those of the closure and of [`Context::commit`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Context::commit`]; before that nothing is written.
    pub async fn with_context<T, F, Fut>(&self, work: F) -> Result<T>
    where
        F: FnOnce(Context) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        self.try_with_context(work).await
    }

    /// The same as [`with_context`](Self::with_context) with an error type of the caller, which is
    /// `From<evercore::Error>`. [`Unit::try_run`] shows how to declare one.
    ///
    /// ```
    /// # use evercore::{Aggregate, EventStore, state_event};
    /// # use evercore_memory::MemoryEngine;
    /// # #[derive(Debug, Default, Aggregate)]
    /// # #[aggregate(events(UserCreated), snapshot = off)]
    /// # struct User { age: u32 }
    /// # #[state_event(User)]
    /// # struct UserCreated { age: u32 }
    /// # #[derive(Debug, thiserror::Error)]
    /// # enum AppError {
    /// #     #[error(transparent)]
    /// #     Store(#[from] evercore::Error),
    /// #     #[error("too young")]
    /// #     TooYoung,
    /// # }
    /// async fn register(store: &EventStore, age: u32) -> Result<(), AppError> {
    ///     store
    ///         .try_with_context(async |ctx| {
    ///             let mut user = ctx.create::<User>().await?;
    ///             if age < 18 {
    ///                 return Err(AppError::TooYoung); // nothing is written
    ///             }
    ///             ctx.apply(&mut user, UserCreated { age })?;
    ///             Ok(())
    ///         })
    ///         .await
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), AppError> {
    /// # let store = EventStore::open::<User>(MemoryEngine::new()).await?;
    /// # assert!(matches!(register(&store, 17).await, Err(AppError::TooYoung)));
    /// # register(&store, 18).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the closure and of [`Context::commit`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Context::commit`]; before that nothing is written.
    pub async fn try_with_context<T, E, F, Fut>(&self, work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: FnOnce(Context) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let ctx = self.begin();
        let value = work(ctx.clone()).await?;
        ctx.commit().await?;
        Ok(value)
    }

    /// Describes a unit of work that may run again: retries, an idempotency key, common event options.
    #[must_use]
    pub fn unit(&self) -> Unit {
        Unit::new(self.clone())
    }

    /// Loads an aggregate, as [`Context::load`] does.
    ///
    /// # Errors
    ///
    /// As [`Context::load`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn load<A: Aggregate>(&self, id: AggregateId<A>) -> Result<StateAggregate<A>> {
        self.read_only().load(id).await
    }

    /// Loads an aggregate by its natural key, as [`Context::load_by_key`] does.
    ///
    /// # Errors
    ///
    /// As [`Context::load_by_key`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn load_by_key<A: Aggregate>(
        &self,
        key: impl TryInto<NaturalKey, Error: Into<Error>> + Send,
    ) -> Result<StateAggregate<A>> {
        self.read_only().load_by_key(key).await
    }

    /// The receipt of the commit that was made under an idempotency key; `None` when there was none, or the
    /// key was forgotten.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn receipt(&self, key: &str) -> Result<Option<Receipt>> {
        let action = "find a commit by its idempotency key";
        let found = self.engine_dyn().find_commit(key).await.map_err(Error::engine(action))?;
        let receipt = found.as_ref().map(Receipt::of_past).transpose();
        receipt.map_err(Error::unreadable_receipt(self.engine_dyn().name()))
    }

    /// Forgets the idempotency keys of commits made before a time, and says how many those were.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Some of the keys may be forgotten already.
    pub async fn forget_keys(&self, older_than: DateTime<Utc>) -> Result<u64> {
        let forgotten = self.engine_dyn().forget_keys(older_than.into()).await;
        forgotten.map_err(Error::engine("forget idempotency keys"))
    }

    /// The position of the last event of the log: everything up to there is settled.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn head(&self) -> Result<Position> {
        self.engine_dyn().head().await.map_err(Error::engine("find the head of the log"))
    }

    /// The position after which the events begin that were recorded at `since` or later, by the store's
    /// clock; the head when there are none.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn locate(&self, since: DateTime<Utc>) -> Result<Position> {
        let located = self.engine_dyn().locate(since.into()).await;
        located.map_err(Error::engine(format_args!("find the events since {since}")))
    }

    /// Hears of commits: an early wake-up for whoever reads the [log](Self::log).
    #[must_use]
    pub fn watch(&self) -> Listener {
        self.engine_dyn().watch()
    }

    /// The engine, when it is a `T`.
    #[must_use]
    pub fn engine<T: StorageEngine>(&self) -> Option<&T> {
        self.engine_dyn().as_any().downcast_ref()
    }

    /// Finishes what is under way and closes the engine; every later operation fails. Subscriptions that still run end
    /// with an error: end them before ([`until`](crate::Subscription::until)).
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] when what is under way cannot be finished.
    ///
    /// # Cancel safety
    ///
    /// Closing goes on.
    pub async fn close(&self) -> Result<()> {
        self.engine_dyn().close().await.map_err(Error::engine("close the store"))
    }

    pub(crate) fn engine_dyn(&self) -> &dyn AnyEngine {
        &*self.inner.engine
    }

    pub(crate) fn engine_of<T: StorageEngine>(&self) -> Result<&T> {
        self.engine().ok_or_else(|| Error::WrongEngine { engine: self.engine_dyn().name() })
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    pub(crate) fn downgrade(&self) -> WeakStore {
        WeakStore(Arc::downgrade(&self.inner))
    }

    /// Tells this store from the others of the process.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    pub(crate) fn types(&self) -> &TypeCache {
        &self.inner.types
    }

    pub(crate) async fn binding_to_read<A: Aggregate>(&self) -> Result<Arc<Binding>> {
        let binding = self.types().to_read::<A>(self.engine_dyn()).await;
        binding.map_err(Error::engine(format_args!("look up the types of {}", A::NAME)))
    }

    pub(crate) async fn binding_to_write(
        &self,
        rust_type: TypeId,
        aggregate: AggregateType,
    ) -> Result<Arc<Binding>> {
        aggregate.check_names()?;
        if waiting::is_for_itself(self) && self.types().lacks(aggregate) {
            return Err(Error::WaitsForItself { action: "define new types" });
        }
        let binding = self.types().to_write(self.engine_dyn(), rust_type, aggregate).await;
        binding.map_err(Error::engine(format_args!("define the types of {}", aggregate.name)))
    }

    pub(crate) async fn next_id(&self) -> Result<AggregateId> {
        if waiting::is_for_itself(self) && self.inner.ids.are_used_up().await {
            return Err(Error::WaitsForItself { action: "reserve ids for so many new aggregates" });
        }
        self.inner.ids.next(self.engine_dyn()).await.map_err(Error::engine("reserve ids for new aggregates"))
    }

    /// Sees to it that there are ids for some hundreds of new aggregates.
    pub(crate) async fn stock_ids(&self) -> Result<()> {
        let stocked = self.inner.ids.stock(self.engine_dyn()).await;
        stocked.map_err(Error::engine("reserve ids for new aggregates"))
    }
}

impl fmt::Debug for EventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStore").field("engine", &self.inner.engine).finish_non_exhaustive()
    }
}

const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<EventStore>();
    shared::<Context>();
};
