//! The log: the events of the whole store in their order.

use futures_util::{Stream, StreamExt as _, stream};

use crate::{EventStore, LogFilter, Position, RecordedEvent, Result, filter::Selection};

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
    selection: Selection,
    after: Position,
}

impl EventStore {
    /// Reads the events of the whole store in their order, those after a position. Only settled events are
    /// read: no event ever appears before one that was read.
    #[must_use]
    pub fn log(&self, filter: LogFilter, after: Position) -> Log {
        Log { store: self.clone(), selection: Selection::new(self.clone(), filter), after }
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
    /// [`InvalidText`](crate::Error::InvalidText) and [`NotFound`](crate::Error::NotFound) for the natural key of the
    /// filter, [`Damaged`](crate::Error::Damaged), [`Engine`](crate::Error::Engine).
    ///
    /// # Cancel safety
    ///
    /// No event is lost: a page whose future was dropped is read again by the next call.
    pub async fn page(&mut self, limit: u32) -> Result<LogPage> {
        // An engine may stop on its way through events that the filter holds back.
        loop {
            let before = self.after;
            let page = self.selection.read(before, limit.max(1)).await?;
            let mut events = Vec::with_capacity(page.events.len());
            for event in page.events {
                events.push(self.store.recorded(event).await?);
            }
            self.after = page.end;
            if !events.is_empty() || page.end == before {
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
}
