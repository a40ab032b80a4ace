//! The log: the events of the whole store in their order.

use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, stream};

use crate::{
    Aggregate, AggregateId, AggregateRef, AggregateType, Error, Event, EventStore, EventType, NaturalKey,
    Position, RecordedEvent, Result,
    engine::{self, EventFilter},
};

/// Which events of the log are wanted: those that every given part allows. Parts of one kind add up.
///
/// ```
/// # use evercore::{Aggregate, EventStore, LogFilter, Position, state_event};
/// # use evercore_memory::MemoryEngine;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(events(AccountOpened))]
/// # struct Account { owner: String }
/// # #[state_event(Account)]
/// # struct AccountOpened { owner: String }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> evercore::Result<()> {
/// # let store = EventStore::open::<Account>(MemoryEngine::new()).await?;
/// # store.with_context(async |ctx| {
/// #     let mut account = ctx.create_with_key::<Account>("A-1").await?;
/// #     ctx.apply(&mut account, AccountOpened { owner: "Ada".into() })
/// # }).await?;
/// let filter = LogFilter::new().aggregate::<Account>().event::<AccountOpened>();
/// let page = store.log(filter, Position::START).page(100).await?;
/// for event in &page.events {
///     println!("{} {:?}", event.position(), event.decode::<Account>()?);
/// }
/// # assert_eq!(page.events.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    aggregates: Vec<AggregateType>,
    events: Vec<EventType>,
    one: Option<One>,
}

/// A filter on one aggregate.
#[derive(Debug, Clone)]
enum One {
    Id(AggregateId),
    Key(AggregateType, String),
}

impl LogFilter {
    /// All events.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Events of aggregates of this type; given several times, of any of the types.
    #[must_use]
    pub fn aggregate<A: Aggregate>(mut self) -> Self {
        self.aggregates.push(AggregateType::of::<A>());
        self
    }

    /// Events of this type, under its name and aliases; given several times, of any of the types.
    #[must_use]
    pub fn event<E: Event>(mut self) -> Self {
        self.events.push(EventType::of::<E>());
        self
    }

    /// Events of the aggregate with this id.
    #[must_use]
    pub fn id<A>(mut self, id: AggregateId<A>) -> Self {
        self.one = Some(One::Id(id.untyped()));
        self
    }

    /// Events of the aggregate that has this natural key when the first page is read. It is followed
    /// whatever its key becomes.
    #[must_use]
    pub fn key<A: Aggregate>(mut self, key: impl Into<String>) -> Self {
        self.one = Some(One::Key(AggregateType::of::<A>(), key.into()));
        self
    }
}

impl LogFilter {
    /// The type of the aggregate whose natural key is still to be looked up.
    fn keyed_type(&self) -> Option<&AggregateType> {
        match &self.one {
            Some(One::Key(aggregate, _)) => Some(aggregate),
            Some(One::Id(_)) | None => None,
        }
    }
}

/// A page of the log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogPage {
    /// The events, in the order of their positions.
    pub events: Vec<RecordedEvent>,
    /// Everything up to here was considered: the next page is the one after this position.
    pub end: Position,
}

/// A reader of the log, made by [`EventStore::log`]. It remembers how far it has read.
///
/// It reads by [`page`](Self::page) or as a [stream](Self::into_stream). The end of a page may be stored, as a
/// number, and be the start of another reader, in another run of the program:
///
/// ```
/// # use evercore::{Aggregate, EventStore, LogFilter, Position, state_event};
/// # use evercore_memory::MemoryEngine;
/// # #[derive(Default, Aggregate)]
/// # #[aggregate(events(AccountOpened), snapshot = off)]
/// # struct Account { owner: String }
/// # #[state_event(Account)]
/// # struct AccountOpened { owner: String }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> evercore::Result<()> {
/// # let store = EventStore::open::<Account>(MemoryEngine::new()).await?;
/// # store.with_context(async |ctx| {
/// #     for owner in ["Ada", "Bob", "Cleo"] {
/// #         let mut account = ctx.create::<Account>().await?;
/// #         ctx.apply(&mut account, AccountOpened { owner: owner.into() })?;
/// #     }
/// #     Ok(())
/// # }).await?;
/// # let mut stored: i64 = 0;
/// # let mut read = 0;
/// let mut log = store.log(LogFilter::new(), Position::new(stored)); // `Position::START` is 0
/// loop {
///     let page = log.page(2).await?;
///     if page.events.is_empty() {
///         break; // the head of the log
///     }
///     for event in &page.events {
///         println!("{} {:?}", event.position(), event.decode::<Account>()?);
/// #       read += 1;
///     }
///     stored = page.end.get(); // where to go on next time
/// }
/// assert_eq!(Position::new(stored), store.head().await?);
/// # assert_eq!(read, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Log {
    store: EventStore,
    filter: LogFilter,
    after: Position,
}

impl EventStore {
    /// Reads the events of the whole store in their order, those after a position. Only settled events are
    /// read: no event ever appears before one that was read.
    #[must_use]
    pub fn log(&self, filter: LogFilter, after: Position) -> Log {
        Log { store: self.clone(), filter, after }
    }
}

impl Log {
    /// How many events a page of a stream has at most.
    const STREAM_PAGE: u32 = 1_000;

    /// The next page, of 1 to `limit` events; a limit of 0 counts as 1. Only at the head of the log it is empty,
    /// and asking again later goes on from there.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidText`] and [`Error::NotFound`] for the natural key of the filter, [`Error::Damaged`],
    /// [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// No event is lost: a page whose future was dropped is read again by the next call.
    pub async fn page(&mut self, limit: u32) -> Result<LogPage> {
        let Some(filter) = self.resolve().await? else {
            return Ok(LogPage { events: Vec::new(), end: self.after });
        };
        // An engine may stop on its way through events that the filter holds back.
        loop {
            let read = engine::LogRead { filter: filter.clone(), after: self.after, limit: limit.max(1) };
            let page = self.store.engine_dyn().read_log(&read).await;
            let page =
                page.map_err(Error::engine(format_args!("read the log after position {}", read.after)))?;
            let mut events = Vec::with_capacity(page.events.len());
            for event in page.events {
                events.push(self.store.recorded(event).await?);
            }
            self.after = page.end;
            if !events.is_empty() || page.end == read.after {
                return Ok(LogPage { events, end: page.end });
            }
        }
    }

    /// The events up to the head of the log as it is when the stream gets there, page by page.
    ///
    /// ```
    /// use futures_util::TryStreamExt as _; // of the crate `futures-util`: `try_next`, `try_collect` and others
    /// # use evercore::{Aggregate, EventStore, LogFilter, Position, state_event};
    /// # use evercore_memory::MemoryEngine;
    /// # #[derive(Default, Aggregate)]
    /// # #[aggregate(events(AccountOpened), snapshot = off)]
    /// # struct Account { owner: String }
    /// # #[state_event(Account)]
    /// # struct AccountOpened { owner: String }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> evercore::Result<()> {
    /// # let store = EventStore::open::<Account>(MemoryEngine::new()).await?;
    /// # store.with_context(async |ctx| {
    /// #     let mut account = ctx.create_with_key::<Account>("A-1").await?;
    /// #     ctx.apply(&mut account, AccountOpened { owner: "Ada".into() })
    /// # }).await?;
    /// # let mut owners = Vec::new();
    ///
    /// let mut events = store.log(LogFilter::new(), Position::START).into_stream();
    /// while let Some(event) = events.try_next().await? {
    ///     println!("{} {:?}", event.position(), event.decode::<Account>()?);
    /// #   owners.extend(event.decode_event::<AccountOpened>()?.map(|event| event.owner));
    /// }
    /// # assert_eq!(owners, ["Ada"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_stream(self) -> impl Stream<Item = Result<RecordedEvent>> + Send + Unpin {
        let start = (self, Vec::new().into_iter());
        let events =
            stream::try_unfold(start, async |(mut log, mut events): (Self, std::vec::IntoIter<_>)| {
                loop {
                    if let Some(event) = events.next() {
                        return Ok(Some((event, (log, events))));
                    }
                    let before = log.after;
                    events = log.page(Self::STREAM_PAGE).await?.events.into_iter();
                    if log.after == before {
                        return Ok(None);
                    }
                }
            });
        // Pinned here, so that callers can ask for the next event without doing it.
        events.boxed()
    }

    /// The filter with the ids of its types; `None` while no stored event can match.
    async fn resolve(&mut self) -> Result<Option<EventFilter>> {
        let types = self.store.types();
        let known = |filter: &LogFilter| {
            filter.aggregates.iter().all(|aggregate| types.aggregate_id(aggregate.name).is_some())
                && filter.events.iter().all(|event| types.event_id(event.name).is_some())
                && filter.keyed_type().is_none_or(|aggregate| types.aggregate_id(aggregate.name).is_some())
        };
        if !known(&self.filter) {
            self.store.refresh_types().await?;
        }
        let aggregates = self.filter.aggregates.iter().flat_map(AggregateType::names);
        let aggregate_types: Arc<[_]> = aggregates.filter_map(|name| types.aggregate_id(name)).collect();
        let events = self.filter.events.iter().flat_map(EventType::names);
        let event_types: Arc<[_]> = events.filter_map(|name| types.event_id(name)).collect();
        let nothing = !self.filter.aggregates.is_empty() && aggregate_types.is_empty()
            || !self.filter.events.is_empty() && event_types.is_empty();
        if nothing {
            return Ok(None);
        }
        Ok(Some(EventFilter {
            aggregate_types: (!aggregate_types.is_empty()).then_some(aggregate_types),
            event_types: (!event_types.is_empty()).then_some(event_types),
            aggregate: self.resolve_aggregate().await?,
        }))
    }

    async fn resolve_aggregate(&mut self) -> Result<Option<AggregateId>> {
        let (aggregate, key) = match &self.filter.one {
            None => return Ok(None),
            Some(One::Id(id)) => return Ok(Some(*id)),
            Some(One::Key(aggregate, key)) => (aggregate, NaturalKey::new(key.as_str())?),
        };
        let not_found = || Error::NotFound(AggregateRef::with_key(aggregate.name, &key));
        let type_id = aggregate.names().find_map(|name| self.store.types().aggregate_id(name));
        let found = self.store.engine_dyn().find_by_key(type_id.ok_or_else(not_found)?, &key).await;
        let id = found.map_err(Error::engine("find an aggregate by its key"))?.ok_or_else(not_found)?;
        self.filter.one = Some(One::Id(id));
        Ok(Some(id))
    }
}
