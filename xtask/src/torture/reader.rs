//! Those who read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use evercore::{
    EventStore, Log, LogFilter, Position,
    engine::{EventFilter, LogRead, StorageEngine as _},
};
use fastrand::Rng;
use tokio::{sync::watch, time::timeout};

use super::{bank::Withdrawn, judge::Entry, place::engine, progress::Progress, task::Outcome};

/// After so much silence a reader looks by itself.
const PATIENCE: Duration = Duration::from_millis(100);

/// One that reads from the beginning until the writers have ended and there is nothing more.
pub(super) struct Reader {
    pub(super) number: usize,
    pub(super) store: EventStore,
    pub(super) way: Way,
    /// How many events a page has at most: one of these.
    pub(super) limits: &'static [u32],
    pub(super) random: Rng,
    pub(super) progress: Arc<Progress>,
}

/// What it reads, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All events, by the store.
    Log,
    /// All events, by the engine.
    Engine,
    /// Those of one type, by the store.
    Filtered,
}

/// An event, and when a reader saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivered {
    pub(super) entry: Entry,
    pub(super) at: Instant,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Log, Self::Engine, Self::Filtered];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Engine => "log, by the engine",
            Self::Filtered => "withdrawals alone",
        }
    }
}

impl Reader {
    pub(super) async fn read(mut self, ended: watch::Receiver<bool>) -> Outcome<Vec<Delivered>> {
        let (mut pages, mut bell) = (Pages::new(&self.store, self.way), self.store.watch());
        let mut seen = Vec::new();
        loop {
            // Asked before the page, which then has all that was written, if there is nothing more.
            let has_ended = *ended.borrow();
            let limit = self.random.choice(self.limits).copied().unwrap_or(1);
            let page = pages.next(limit).await?;
            let at = Instant::now();
            if !page.is_empty() {
                self.progress.read(self.number, page.len());
                seen.extend(page.into_iter().map(|entry| Delivered { entry, at }));
            } else if has_ended {
                return Ok(seen);
            } else {
                // A ring that does not come is one that came too early.
                let _ = timeout(PATIENCE, bell.rung()).await;
            }
        }
    }
}

/// One page after the other.
enum Pages {
    Log(Log),
    Engine(EventStore, Position),
}

impl Pages {
    fn new(store: &EventStore, way: Way) -> Self {
        match way {
            Way::Log => Self::Log(store.log(LogFilter::new(), Position::START)),
            Way::Engine => Self::Engine(store.clone(), Position::START),
            Way::Filtered => Self::Log(store.log(LogFilter::new().event::<Withdrawn>(), Position::START)),
        }
    }

    /// Is empty at the head of the log only.
    async fn next(&mut self, limit: u32) -> Outcome<Vec<Entry>> {
        match self {
            Self::Log(log) => Ok(log.page(limit).await?.events.iter().map(Entry::from).collect()),
            Self::Engine(store, after) => {
                let read = LogRead { filter: EventFilter::default(), after: *after, limit };
                let page = engine(store)?.read_log(&read).await?;
                *after = page.end;
                Ok(page.events.iter().map(Entry::from).collect())
            }
        }
    }
}
