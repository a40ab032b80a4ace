//! Which events of the log are wanted.

use crate::{
    Aggregate, AggregateId, AggregateRef, AggregateType, Error, Event, EventStore, EventType, NaturalKey,
    Position, Result,
    engine::{EventFilter, LogPage, LogRead},
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
    pub(crate) aggregates: Vec<AggregateType>,
    pub(crate) events: Vec<EventType>,
    pub(crate) one: Option<One>,
}

/// A filter on one aggregate.
#[derive(Debug, Clone)]
pub(crate) enum One {
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

    /// The filter with the aggregate that has the natural key now.
    pub(crate) async fn pinned(self, store: &EventStore) -> Result<Self> {
        let mut selection = Selection::new(store.clone(), self);
        selection.find_aggregate().await?;
        Ok(selection.filter)
    }
}

/// A filter on a store: knows the ids of its types, as far as the store has them.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    store: EventStore,
    filter: LogFilter,
    /// The filter once all of its names have an id, which is for ever.
    complete: Option<EventFilter>,
}

impl Selection {
    pub(crate) fn new(store: EventStore, filter: LogFilter) -> Self {
        Self { store, filter, complete: None }
    }

    /// Reads the page of the log after a position. It may be empty before the head of the log.
    pub(crate) async fn read(&mut self, after: Position, limit: u32) -> Result<LogPage> {
        loop {
            let filter = self.resolve().await?;
            let page = self.read_filtered(filter.clone(), after, limit).await?;
            // A type that nobody had used may have got its id, and its first events, since.
            if self.complete.is_some() || self.resolve().await? == filter {
                return Ok(page);
            }
        }
    }

    async fn read_filtered(
        &self,
        filter: Option<EventFilter>,
        after: Position,
        limit: u32,
    ) -> Result<LogPage> {
        let engine = self.store.engine_dyn();
        let failed = |error| Error::engine(format_args!("read the log after position {after}"))(error);
        match filter {
            Some(filter) => engine.read_log(&LogRead { filter, after, limit }).await.map_err(failed),
            None => Ok(LogPage { events: Vec::new(), end: engine.head().await.map_err(failed)?.max(after) }),
        }
    }

    /// The filter with the ids of its types; `None` while no stored event can match. What is read before this is
    /// called has no type that it does not know.
    pub(crate) async fn resolve(&mut self) -> Result<Option<EventFilter>> {
        if let Some(filter) = &self.complete {
            return Ok(Some(filter.clone()));
        }
        if !self.is_complete() {
            self.store.refresh_types().await?;
        }
        self.resolve_known().await
    }

    /// The same with the ids that are known here: the store is not asked for types.
    pub(crate) async fn resolve_known(&mut self) -> Result<Option<EventFilter>> {
        if let Some(filter) = &self.complete {
            return Ok(Some(filter.clone()));
        }
        let is_complete = self.is_complete();
        let resolved = self.resolve_names().await?;
        if is_complete {
            self.complete.clone_from(&resolved);
        }
        Ok(resolved)
    }

    /// Whether every name that matching events can have has an id.
    fn is_complete(&self) -> bool {
        let types = self.store.types();
        let mut aggregates = self.filter.aggregates.iter().flat_map(AggregateType::names);
        let mut events = self.filter.events.iter().flat_map(EventType::names);
        aggregates.all(|name| types.aggregate_id(name).is_some())
            && events.all(|name| types.event_id(name).is_some())
            && self.keyed_type().is_none_or(|aggregate| types.aggregate_id(aggregate.name).is_some())
    }

    async fn resolve_names(&mut self) -> Result<Option<EventFilter>> {
        let aggregates = self.filter.aggregates.iter().flat_map(AggregateType::names);
        let events = self.filter.events.iter().flat_map(EventType::names);
        let Some(filter) = self.store.types().filter(aggregates, events) else { return Ok(None) };
        Ok(Some(EventFilter { aggregate: self.resolve_aggregate().await?, ..filter }))
    }

    /// The one aggregate, also when its type was defined by somebody else meanwhile.
    pub(crate) async fn find_aggregate(&mut self) -> Result<Option<AggregateId>> {
        let types = self.store.types();
        let is_unknown =
            |aggregate: &AggregateType| aggregate.names().all(|name| types.aggregate_id(name).is_none());
        if self.keyed_type().is_some_and(is_unknown) {
            self.store.refresh_types().await?;
        }
        self.resolve_aggregate().await
    }

    /// The one aggregate, which is looked up by its key once and followed from then on.
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

    /// The type of the aggregate whose natural key is still to be looked up.
    fn keyed_type(&self) -> Option<&AggregateType> {
        match &self.filter.one {
            Some(One::Key(aggregate, _)) => Some(aggregate),
            Some(One::Id(_)) | None => None,
        }
    }
}
