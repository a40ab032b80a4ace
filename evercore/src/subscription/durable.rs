//! Durable subscriptions: their cursor is kept in the store.

use std::{fmt, marker::PhantomData, pin::Pin, time::Duration};

use super::{
    Batch, Decoder, Handler, HandlerError, OnFailure, Raw, StartFrom, Typed,
    candidate::{Candidate, Redefinition},
    closures::{ByHandler, Closure},
    common::{Common, common_methods},
    delivery::{Deliver, Delivery},
    feed::Feed,
    progress::Progress,
    transactional::InTransaction,
};
use crate::{EventStore, LogFilter, Registry, Result, engine::TransactionalEngine};

const SHORTEST_LEASE: Duration = Duration::from_millis(10);
const LONGEST_LEASE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A durable subscription: it delivers every event that its filter lets through, in the order of the log, at least
/// once, and goes on where it was after a restart. Made by [`EventStore::subscription`].
///
/// What is given here is written down when the subscription runs for the first time; later runs go on from
/// the stored cursor. Of all processes that run it, one owns it at a time.
///
/// ```
/// # use evercore::{Aggregate, EventStore, state_event};
/// # use evercore_memory::MemoryEngine;
/// # #[derive(Debug, Default, Aggregate)]
/// # #[aggregate(events(AccountOpened), snapshot = off)]
/// # struct Account { owner: String }
/// # #[state_event(Account)]
/// # struct AccountOpened { owner: String }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> evercore::Result<()> {
/// # let store = EventStore::open::<Account>(MemoryEngine::new()).await?;
/// # store.with_context(async |ctx| {
/// #     let mut account = ctx.create::<Account>().await?;
/// #     ctx.apply(&mut account, AccountOpened { owner: "Ada".into() })
/// # }).await?;
/// # let (done, stop) = tokio::sync::oneshot::channel::<()>();
/// # let done = std::sync::Mutex::new(Some(done));
/// # let shutdown = async { let _ = stop.await; };
/// let greeted = std::sync::Mutex::new(Vec::new());
/// store
///     .subscription("greetings")
///     .aggregate::<Account>()
///     .decode::<Account>()
///     .until(shutdown) // any future
///     .run(async |batch| {
///         for decoded in batch {
///             match decoded.event {
///                 AccountEvent::AccountOpened(opened) => greeted.lock().unwrap().push(opened.owner),
///             }
///         }
/// #       done.lock().unwrap().take();
///         Ok(())
///     })
///     .await?;
/// assert_eq!(*greeted.lock().unwrap(), ["Ada"]);
/// # Ok(())
/// # }
/// ```
///
/// # When things go wrong
///
/// A batch that the handler cannot handle, because it answers an error or panics, comes [again](Self::retry) after a pause,
/// then its events come one by one, and with one that still fails the subscription [stops, or skips
/// it](Self::on_failure). An event that cannot be decoded goes the same way, without being tried again. While the
/// store cannot be reached the subscription waits, and goes on by itself.
///
/// The owner holds a [lease](Self::lease), which is renewed while the handler works, however long that takes. An
/// owner that could not renew it, because it stood still for too long, may lose the subscription to another one. It
/// then can write nothing any more, its handler is dropped, and it ends with [`Error::Fenced`](crate::Error::Fenced).
#[must_use = "a subscription does nothing until it is run"]
pub struct Subscription<D = Raw> {
    pub(super) store: EventStore,
    pub(super) name: String,
    filter: LogFilter,
    common: Common,
    start: StartFrom,
    redefinition: Redefinition,
    owner: Option<String>,
    lease: Duration,
    standby: bool,
    decoder: PhantomData<fn() -> D>,
}

impl EventStore {
    /// Describes a durable subscription by its name, 1 to 255 bytes, which is unique in the store.
    pub fn subscription(&self, name: impl Into<String>) -> Subscription {
        Subscription {
            store: self.clone(),
            name: name.into(),
            filter: LogFilter::new(),
            common: Common::default(),
            start: StartFrom::Beginning,
            redefinition: Redefinition::Refuse,
            owner: None,
            lease: Duration::from_secs(15),
            standby: false,
            decoder: PhantomData,
        }
    }
}

impl<D: Decoder> Subscription<D> {
    common_methods!();

    /// Delivers decoded events: those of an aggregate (`User` gives `UserEvent`) or of a registry (`Domain` gives
    /// `DomainEvent`). Events of others are not held back by this, and cannot be decoded: say
    /// [`aggregate`](Self::aggregate) too.
    pub fn decode<R: Registry>(self) -> Subscription<Typed<R>> {
        let Self { store, name, filter, common, start, redefinition, owner, lease, standby, .. } = self;
        let decoder = PhantomData;
        Subscription { store, name, filter, common, start, redefinition, owner, lease, standby, decoder }
    }

    /// Where it starts when it runs for the first time, at the beginning by default. Later runs go on where the
    /// earlier ones were.
    pub fn start(mut self, start: StartFrom) -> Self {
        self.start = start;
        self
    }

    /// Replaces a stored filter that is another one. The cursor stays: what the old filter held back before it is
    /// not delivered.
    ///
    /// New names and aliases of a type are no other filter. An alias that was taken away is one: a version of the
    /// application that does not know a name would pass over its events.
    pub fn redefine(mut self) -> Self {
        self.redefinition = Redefinition::Filter;
        self
    }

    /// Sets the cursor, and replaces a stored filter that is another one. Each run does that again.
    pub fn reset(mut self, start: StartFrom) -> Self {
        self.redefinition = Redefinition::Reset(start);
        self
    }

    /// How long the subscription stays with an owner that is not heard of, 15 seconds by default. It is renewed
    /// every third of that. Less than 10 milliseconds counts as that, and more than a year as a year.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(SHORTEST_LEASE, LONGEST_LEASE);
        self
    }

    /// What the owner is called in lists and errors, 1 to 255 bytes. Two that run at once must not have one name: the
    /// second would take the subscription away from the first. By default each run has a name of its own.
    pub fn owner(mut self, name: impl Into<String>) -> Self {
        self.owner = Some(name.into());
        self
    }

    /// Waits while somebody else owns the subscription, or it is paused, instead of failing. Once it is the owner, it can
    /// lose the subscription as any other, and ends with [`Fenced`](crate::Error::Fenced): run it again then. It takes over at once
    /// when an owner in this process gives it up, within a [poll interval](Self::poll_interval) when one
    /// elsewhere does, and when the lease of one that is gone has expired.
    pub fn standby(mut self) -> Self {
        self.standby = true;
        self
    }

    /// What becomes of an event that cannot be handled: the subscription [stops](OnFailure::Stop) by default.
    pub fn on_failure(mut self, policy: OnFailure) -> Self {
        self.common.options.on_failure = policy;
        self
    }

    /// Delivers events to a closure until [shut down](Self::until), or something fails for good.
    ///
    /// Accepted are `async |batch| { … Ok(()) }`, which may borrow shared values of its surroundings, and
    /// `move |batch| { let shared = shared.clone(); async move { … Ok(()) } }`. When the compiler says "async closure does
    /// not implement `FnMut` because it captures state from its environment", the closure changes a variable of its
    /// surroundings: count in an atomic, or take [`run_handler`](Self::run_handler). The error is always a
    /// [`HandlerError`], made by `?` from any other.
    ///
    /// A batch comes again as a whole, with the events before the one that failed. A handler whose effects must not be
    /// repeated more than need be takes batches of [one](Self::batch_size), or remembers positions.
    ///
    /// # Errors
    ///
    /// [`AlreadyOwned`](crate::Error::AlreadyOwned), [`SubscriptionPaused`](crate::Error::SubscriptionPaused) and
    /// [`SubscriptionMismatch`](crate::Error::SubscriptionMismatch) at the start;
    /// [`UnknownSubscription`](crate::Error::UnknownSubscription) when it is deleted while this stands by;
    /// [`Fenced`](crate::Error::Fenced) when the subscription was lost;
    /// [`SubscriptionFailed`](crate::Error::SubscriptionFailed) when an event cannot be handled;
    /// [`LogRewound`](crate::Error::LogRewound); [`NotFound`](crate::Error::NotFound) for the key of the filter;
    /// [`Engine`](crate::Error::Engine) for failures of the store that do not pass.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops it at once. The batch in hand comes again, and the lease expires by itself.
    pub async fn run<F, Fut>(self, handler: F) -> Result<()>
    where
        F: FnMut(Batch<D::Item>) -> Fut,
        Fut: Future<Output = Result<(), HandlerError>>,
    {
        self.run_by(Closure(handler)).await
    }

    /// The same as [`run`](Self::run) with a handler that has a state of its own.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    pub async fn run_handler(self, handler: impl Handler<D::Item>) -> Result<()> {
        self.run_by(ByHandler(handler)).await
    }

    /// Delivers each batch exactly once: the closure works in a transaction of the engine's database, in which
    /// the cursor moves too. It gets the open transaction and gives it back.
    ///
    /// The engine has to be named; the rest is inferred:
    /// `.run_transactional::<SqliteEngine, _, _>(async |batch, mut transaction| { …; Ok(transaction) })`. Tables are written
    /// with the engine's own `sqlx` (`query.execute(&mut *transaction)`), and units of work with its `commit_in`. The
    /// documentation of `evercore-sqlite` has an example that runs.
    ///
    /// What the closure does elsewhere may happen again when the transaction does not commit. It must not commit
    /// or roll back by itself, nor give back another transaction: then nothing holds its writes and the cursor
    /// together. While it has appended and the transaction is open, it holds up readers of the log on PostgreSQL. On
    /// SQLite it holds up everybody who writes: a commit to the store by the closure itself is
    /// [refused](crate::Error::WaitsForItself), and what it writes by other connections, or has other tasks write,
    /// waits until that fails.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and [`WrongEngine`](crate::Error::WrongEngine) when the store does not run on an `E`.
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    // The future is boxed so that its type does not name the closure's: rustc cannot prove that a future is `Send`
    // which holds a closure over a type with a lifetime, such as a transaction of sqlx.
    pub fn run_transactional<'a, E, F, Fut>(
        self,
        handler: F,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>
    where
        E: TransactionalEngine,
        F: FnMut(Batch<D::Item>, E::Transaction) -> Fut + Send + 'a,
        Fut: Future<Output = Result<E::Transaction, HandlerError>> + Send + 'a,
    {
        Box::pin(async move {
            self.store.engine_of::<E>()?;
            let store = self.store.clone();
            self.run_by(InTransaction::<E, F> { store, handler, engine: PhantomData }).await
        })
    }

    async fn run_by(self, mut handler: impl Deliver<D::Item>) -> Result<()> {
        match self.claim().await? {
            Some(delivery) => delivery.run::<D>(&mut handler).await,
            None => Ok(()),
        }
    }

    /// Becomes the owner; `None` when a shutdown was requested before that.
    pub(super) async fn claim(self) -> Result<Option<Delivery>> {
        let Self { store, common, .. } = self;
        let Common { mut shutdown, poll_interval, options } = common;
        let candidate = Candidate {
            store: store.clone(),
            name: self.name,
            owner: self.owner,
            filter: self.filter,
            start: self.start,
            redefinition: self.redefinition,
            lease: self.lease,
            standby: self.standby,
            poll_interval,
        };
        let Some((owned, filter)) = candidate.claim(&mut shutdown).await? else { return Ok(None) };
        let feed = Feed::new(&store, filter, poll_interval);
        Ok(Some(Delivery::new(store, feed, Progress::Durable(owned), options, shutdown)))
    }
}

impl<D> fmt::Debug for Subscription<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("name", &self.name)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}
