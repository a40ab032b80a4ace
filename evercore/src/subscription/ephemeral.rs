//! Ephemeral subscriptions: they write nothing to the store.

use std::{fmt, marker::PhantomData};

use futures_util::{Stream, StreamExt as _, stream};

use super::{
    Batch, Decoder, Handler, HandlerError, Raw, StartFrom, Typed,
    closures::{ByHandler, Closure},
    common::{Common, common_methods},
    delivery::{Deliver, Delivery},
    feed::Feed,
    patience::patiently,
    progress::Progress,
};
use crate::{EventStore, LogFilter, Position, Registry, Result};

/// A subscription in this process only: it delivers every event that its filter lets through, in the order of the
/// log, from its start until it ends. Made by [`EventStore::ephemeral_subscription`].
///
/// It writes nothing to the store, and any number may run at once: for caches, live views, metrics.
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
/// use futures_util::TryStreamExt as _; // of the crate `futures-util`
///
/// let mut opened = store.ephemeral_subscription().decode::<Account>().stream().await?;
/// // From here on no event is missed.
/// store
///     .with_context(async |ctx| {
///         let mut account = ctx.create::<Account>().await?;
///         ctx.apply(&mut account, AccountOpened { owner: "Ada".into() })
///     })
///     .await?;
/// let first = opened.try_next().await?.expect("it does not end by itself");
/// assert!(matches!(first.event, AccountEvent::AccountOpened(event) if event.owner == "Ada"));
/// # Ok(())
/// # }
/// ```
#[must_use = "a subscription does nothing until it is run"]
pub struct EphemeralSubscription<D = Raw> {
    store: EventStore,
    filter: LogFilter,
    common: Common,
    start: StartFrom,
    on_ready: Option<OnReady>,
    decoder: PhantomData<fn() -> D>,
}

type OnReady = Box<dyn FnOnce(Position) + Send>;

impl EventStore {
    /// Describes an ephemeral subscription.
    pub fn ephemeral_subscription(&self) -> EphemeralSubscription {
        EphemeralSubscription {
            store: self.clone(),
            filter: LogFilter::new(),
            common: Common::default(),
            start: StartFrom::End,
            on_ready: None,
            decoder: PhantomData,
        }
    }
}

impl<D: Decoder> EphemeralSubscription<D> {
    common_methods!();

    /// Delivers decoded events: those of an aggregate (`User` gives `UserEvent`) or of a registry (`Domain` gives
    /// `DomainEvent`). Events of others are not held back by this, and cannot be decoded: say
    /// [`aggregate`](Self::aggregate) too.
    pub fn decode<R: Registry>(self) -> EphemeralSubscription<Typed<R>> {
        let Self { store, filter, common, start, on_ready, .. } = self;
        EphemeralSubscription { store, filter, common, start, on_ready, decoder: PhantomData }
    }

    /// Where it starts, at the end of the log by default.
    pub fn start(mut self, start: StartFrom) -> Self {
        self.start = start;
        self
    }

    /// Is called once, when the start is settled: every event after the position is delivered, and so is every commit
    /// that begins after this. A cache loads what it caches from here on.
    pub fn on_ready(mut self, ready: impl FnOnce(Position) + Send + 'static) -> Self {
        self.on_ready = Some(Box::new(ready));
        self
    }

    /// Delivers events to a closure until [shut down](Self::until), or something fails for good; see
    /// [`Subscription::run`](super::Subscription::run) for the forms of the closure.
    ///
    /// While the store cannot be reached it waits, and goes on without loss and without repetition.
    ///
    /// # Errors
    ///
    /// [`SubscriptionFailed`](crate::Error::SubscriptionFailed) when an event cannot be handled or decoded,
    /// [`NotFound`](crate::Error::NotFound) for the key of the filter, [`Engine`](crate::Error::Engine) for
    /// failures of the store that do not pass.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops it at once.
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

    /// The events one by one. When this returns, the start is settled: every commit that begins later is delivered.
    /// The stream ends by [`until`](Self::until), and after an error.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, the stream, or the future of a next event loses nothing but the subscription itself.
    pub async fn stream(self) -> Result<impl Stream<Item = Result<D::Item>> + Send + Unpin> {
        let delivery = self.open().await?;
        let pages = stream::unfold(delivery, async |delivery| {
            let mut delivery = delivery?;
            match delivery.next_batch::<D>().await? {
                Ok((batch, _)) => Some((batch.into_iter().map(Ok).collect(), Some(delivery))),
                Err(error) => Some((vec![Err(error)], None)),
            }
        });
        Ok(pages.flat_map(stream::iter::<Vec<_>>).fuse().boxed())
    }

    async fn run_by(self, mut handler: impl Deliver<D::Item>) -> Result<()> {
        match self.open().await? {
            Some(delivery) => delivery.run::<D>(&mut handler).await,
            None => Ok(()),
        }
    }

    /// Finds the start, and the aggregate of a key; `None` when a shutdown was requested before that.
    async fn open(self) -> Result<Option<Delivery>> {
        let Self { store, filter, common: Common { options, poll_interval, mut shutdown }, .. } = self;
        let start = self.start;
        let finding = async {
            let filter = patiently!(filter.clone().pinned(&store))?;
            patiently!(start.resolve(&store)).map(|position| (filter, position))
        };
        let Some(found) = shutdown.or(finding).await else { return Ok(None) };
        let (filter, position) = found?;
        let feed = Feed::new(&store, filter, poll_interval);
        if let Some(ready) = self.on_ready {
            ready(position);
        }
        let progress = Progress::Elsewhere { name: "(ephemeral)".into(), cursor: position };
        Ok(Some(Delivery::new(store, feed, progress, options, shutdown)))
    }
}

impl<D> fmt::Debug for EphemeralSubscription<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EphemeralSubscription").field("filter", &self.filter).finish_non_exhaustive()
    }
}
