//! The end of the log, read once for all subscriptions of a store that are near it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use crate::{
    EventStore, Position,
    engine::{EngineError, EventFilter, Listener, LogPage, LogRead, StoredEvent},
    store::WeakStore,
};

/// So many events, and so many bytes of what applications put into them, are kept. Who needs earlier ones reads them itself.
const MOST_EVENTS: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;

/// How many events are read at once.
const PAGE: u32 = 1_000;

/// After a failure the log is read again so soon; each further one doubles it, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The last events of the log, for those who follow it.
#[derive(Debug, Default)]
pub(crate) struct Tail(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Is sent when there is more to read, or when reading fails.
    moved: watch::Sender<()>,
    /// Seats were taken or left.
    seats: Notify,
}

#[derive(Debug, Default)]
struct State {
    is_running: bool,
    next_seat: u64,
    /// How often each follower wants the log to be looked at.
    intervals: HashMap<u64, Duration>,
    /// What was read; `None` before the head is known, and while it cannot be read.
    pages: Option<Pages>,
}

/// Pages that follow on each other. The store knows the names of all types that occur in them.
#[derive(Debug)]
struct Pages {
    start: Position,
    end: Position,
    pages: VecDeque<Page>,
    events: usize,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Page {
    events: Arc<[StoredEvent]>,
    end: Position,
    bytes: usize,
}

/// What a follower finds after its cursor.
#[derive(Debug)]
pub(super) enum Found {
    /// The events that its filter lets through, up to `end`. None before `end` may be left out.
    Page(LogPage),
    /// Nothing yet.
    Nothing,
    /// It is too far behind, or the tail cannot read: the follower has to read itself.
    Behind,
}

/// A follower of the log. The log is read while there are any.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    store: EventStore,
    shared: Arc<Shared>,
    interval: Duration,
    moved: watch::Receiver<()>,
}

impl Tail {
    /// Follows the log, and wants it to be looked at as often as the interval says, besides the doorbell.
    pub(super) fn follow(&self, store: &EventStore, interval: Duration) -> Seat {
        let mut state = self.0.lock();
        let number = state.next_seat;
        state.next_seat += 1;
        state.intervals.insert(number, interval);
        drop(state);
        let moved = self.0.moved.subscribe();
        let seat = Seat { number, store: store.clone(), shared: Arc::clone(&self.0), interval, moved };
        seat.ensure_running();
        self.0.seats.notify_one();
        seat
    }
}

impl Seat {
    /// What comes after the cursor, at most `limit` events. A change after this call ends the next
    /// [`moved`](Self::moved).
    pub(super) fn after(&mut self, cursor: Position, filter: Option<&EventFilter>, limit: usize) -> Found {
        self.moved.mark_unchanged();
        let state = self.shared.lock();
        match &state.pages {
            Some(pages) if pages.start <= cursor => pages.after(cursor, filter, limit),
            _ => Found::Behind,
        }
    }

    /// Whether what comes after a position has to be read by the follower itself.
    pub(super) fn is_behind(&self, position: Position) -> bool {
        self.shared.lock().pages.as_ref().is_none_or(|pages| position < pages.start)
    }

    /// Waits until there may be more, at most as long as the interval.
    pub(super) async fn moved(&mut self) {
        self.ensure_running();
        let _ = tokio::time::timeout(self.interval, self.moved.changed()).await;
    }

    fn ensure_running(&self) {
        let mut state = self.shared.lock();
        if !state.is_running {
            state.is_running = true;
            // What was read before the pause would leave a gap.
            state.pages = None;
            drop(state);
            // Not under the lock: on a runtime that shuts down the task is dropped here and now.
            let running = Running { shared: Arc::clone(&self.shared), has_ended: false };
            tokio::spawn(running.follow(self.store.downgrade(), self.store.watch()));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.lock().intervals.remove(&self.number);
        self.shared.seats.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn new(head: Position) -> Self {
        Self { start: head, end: head, pages: VecDeque::new(), events: 0, bytes: 0 }
    }

    fn push(&mut self, page: LogPage) {
        let bytes = page.events.iter().map(bytes_of).sum();
        self.events += page.events.len();
        self.bytes += bytes;
        self.end = page.end;
        self.pages.push_back(Page { events: page.events.into(), end: page.end, bytes });
        while (self.events > MOST_EVENTS || self.bytes > MOST_BYTES)
            && let Some(first) = self.pages.pop_front()
        {
            self.start = first.end;
            self.events -= first.events.len();
            self.bytes -= first.bytes;
        }
    }

    fn after(&self, cursor: Position, filter: Option<&EventFilter>, limit: usize) -> Found {
        if cursor >= self.end {
            return Found::Nothing;
        }
        let first = self.pages.partition_point(|page| page.end <= cursor);
        let mut events = Vec::new();
        for page in self.pages.range(first..) {
            let from = page.events.partition_point(|event| event.position <= cursor);
            for event in &page.events[from..] {
                if filter.is_some_and(|filter| filter.allows(event)) {
                    events.push(event.clone());
                    if events.len() >= limit {
                        return Found::Page(LogPage { end: event.position, events });
                    }
                }
            }
        }
        Found::Page(LogPage { events, end: self.end })
    }
}

/// What an application puts into an event, without bound.
fn bytes_of(event: &StoredEvent) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    event.payload.bytes.len() + length(&event.metadata) + length(&event.reference)
}

/// The task that reads. When it is dropped, with its runtime or by a panic, its followers wake up, and one of them
/// starts another one.
struct Running {
    shared: Arc<Shared>,
    has_ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            self.shared.lock().is_running = false;
            self.shared.moved.send_replace(());
        }
    }
}

impl Running {
    async fn follow(mut self, store: WeakStore, mut doorbell: Listener) {
        let mut pause = SHORTEST_PAUSE;
        while let (Some(interval), Some(strong)) = (self.interval(), store.upgrade()) {
            let read = self.read_on(&strong).await;
            drop(strong);
            match read {
                Ok(true) => pause = SHORTEST_PAUSE,
                Ok(false) => {
                    pause = SHORTEST_PAUSE;
                    tokio::select! {
                        () = doorbell.rung() => {}
                        () = sleep(interval) => {}
                        () = self.shared.seats.notified() => {}
                    }
                }
                Err(error) => {
                    self.fail(&error);
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Reads the next page, and says whether there was one.
    async fn read_on(&self, store: &EventStore) -> Result<bool, EngineError> {
        let engine = store.engine_dyn();
        let end = self.shared.lock().pages.as_ref().map(|pages| pages.end);
        let Some(after) = end else {
            let head = engine.head().await?;
            self.publish(|state| state.pages = Some(Pages::new(head)));
            return Ok(false);
        };
        let read = LogRead { filter: EventFilter::default(), after, limit: PAGE };
        let page = engine.read_log(&read).await?;
        if page.end == after {
            return Ok(false);
        }
        // So that the followers need not ask for types that may be new.
        if !store.types().knows_types_of(&page.events) {
            store.types().refresh(engine).await?;
        }
        self.publish(|state| {
            if let Some(pages) = &mut state.pages {
                pages.push(page);
            }
        });
        Ok(true)
    }

    fn publish(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.lock());
        self.shared.moved.send_replace(());
    }

    /// What is temporary passes unseen. Otherwise the followers read themselves, and meet the error.
    fn fail(&self, error: &EngineError) {
        tracing::warn!(%error, "cannot follow the log");
        if !error.is_temporary() {
            self.publish(|state| state.pages = None);
        }
    }

    /// The shortest interval that a follower wants; `None`, and the end of the task, when there is none.
    fn interval(&mut self) -> Option<Duration> {
        let mut state = self.shared.lock();
        let interval = state.intervals.values().min().copied();
        if interval.is_none() {
            (state.is_running, state.pages) = (false, None);
            self.has_ended = true;
        }
        interval
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_BYTES, Pages};
    use crate::{
        AggregateId, AggregateTypeId, Codec, EventTypeId, Payload, Position, Sequence,
        engine::{LogPage, StoredEvent, Timestamp},
    };

    #[test]
    fn metadata_and_references_count_as_much_as_payloads() {
        let time = Timestamp::from_micros(0).unwrap();
        let mut pages = Pages::new(Position::START);
        for number in 1..=20 {
            let event = StoredEvent {
                position: Position::new(number),
                aggregate_id: AggregateId::new(1),
                aggregate_type: AggregateTypeId::new(1),
                event_type: EventTypeId::new(1),
                sequence: Sequence::new(number),
                time,
                recorded_at: time,
                reference: Some("r".repeat(MOST_BYTES / 16)),
                metadata: Some("m".repeat(MOST_BYTES / 16)),
                payload: Payload::new(Codec::JSON, Vec::new()),
            };
            pages.push(LogPage { events: vec![event], end: Position::new(number) });
        }
        assert_eq!((pages.events, pages.start.get(), pages.end.get()), (8, 12, 20));
    }
}
