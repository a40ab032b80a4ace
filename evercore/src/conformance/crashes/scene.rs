//! A store, the processes that are killed one after the other, and what is left of their work.

use std::{collections::HashSet, env, time::Duration};

use super::{
    CrashHarness, KILLS_VARIABLE, MOST_SAID, SEED_VARIABLE, SHORT,
    deliveries::Deliveries,
    orders::{Mode, Orders},
    process::Process,
    runner::{BATCH, NAME},
};
use crate::{
    EventStore, LogFilter, Position, RecordedEvent,
    conformance::samples::{open, stored_account},
};

/// How long what is left of the log may take.
const LIMIT: Duration = Duration::from_secs(40);

/// A store and how its subscription is run.
pub(super) struct Scene<'a, H> {
    harness: H,
    store: EventStore,
    child: &'a str,
    mode: Mode,
    /// What was said of batches and events.
    pub(super) deliveries: Deliveries,
    kills: usize,
    written: usize,
}

impl<'a, H: CrashHarness> Scene<'a, H> {
    pub(super) async fn new(child: &'a str, mode: Mode) -> Self {
        let harness = H::create().await;
        let store = open(&harness).await;
        H::create_table(store.engine().unwrap()).await;
        Self { harness, store, child, mode, deliveries: Deliveries::default(), kills: 0, written: 0 }
    }

    /// Commits so many events.
    pub(super) async fn write(&mut self, events: usize) {
        let key = format!("account-{}", self.written);
        stored_account(&self.store, &key, events - 1).await;
        self.written += events;
    }

    pub(super) fn orders(&self, stop: Option<&str>) -> Orders {
        let (mode, stop, address) = (self.mode, stop.map(str::to_owned), self.harness.address());
        Orders { mode, stop, lease: SHORT, address }
    }

    pub(super) fn start(&self, stop: Option<&str>) -> Process {
        Process::start(self.child, &self.orders(stop))
    }

    /// Kills at random, and lets the last process come to the end of the log.
    pub(super) async fn kill_at_random(&mut self) {
        let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
        let seed = number(SEED_VARIABLE).unwrap_or_else(|| fastrand::u64(..));
        eprintln!("{SEED_VARIABLE}={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let kills = number(KILLS_VARIABLE).map_or(H::KILLS, |kills| usize::try_from(kills).unwrap());
        for _ in 0..kills {
            // Each event is worth more than one thing to say, so that the process does not run dry.
            self.write(MOST_SAID).await;
            let mut process = self.start(None);
            let log = self.log().await;
            for _ in 0..random.usize(1..=MOST_SAID) {
                self.deliveries.take(&process.next().await, &log);
            }
            self.kill(process).await;
        }
        self.finish().await;
    }

    /// Notices what the process says until it says this.
    pub(super) async fn deliveries_of(&mut self, process: &mut Process, end: &str) {
        let log = self.log().await;
        loop {
            let said = process.next().await;
            self.deliveries.take(&said, &log);
            if said.what == end {
                return;
            }
        }
    }

    pub(super) async fn kill(&mut self, process: Process) {
        let log = self.log().await;
        for said in process.kill().await {
            self.deliveries.take(&said, &log);
        }
        self.kills += 1;
    }

    /// A last process handles everything that is left.
    pub(super) async fn finish(&mut self) {
        let last = self.start(None);
        self.finish_with(last).await;
    }

    pub(super) async fn finish_with(&mut self, last: Process) {
        self.write(BATCH / 2).await;
        self.store.wait_until_caught_up(NAME, LIMIT).await.unwrap();
        let log = self.log().await;
        for said in last.kill().await {
            self.deliveries.take(&said, &log);
        }
    }

    /// The table holds what the cursor is behind, whenever one looks.
    pub(super) async fn assert_table_is_at_cursor(&self) {
        let (cursor, mut table) = loop {
            let before = self.cursor().await;
            let table = self.table().await;
            // The database may not have noticed yet that the process is gone.
            if self.cursor().await == before {
                break (before, table);
            }
        };
        table.sort_unstable();
        let log = self.log().await;
        let behind: Vec<_> = log.into_iter().take_while(|position| *position <= cursor).collect();
        assert_eq!(table, behind);
    }

    /// Everything was handled once in its transaction.
    pub(super) async fn assert_table_is_exact(&self) {
        let (table, log) = (self.table().await, self.log().await);
        let distinct: HashSet<_> = table.iter().collect();
        let lost = log.iter().filter(|position| !distinct.contains(position)).count();
        self.report(lost, table.len() - distinct.len());
        assert_eq!((lost, table.len()), (0, log.len()), "each event is there once");
    }

    /// Everything was handled.
    pub(super) async fn assert_all_was_delivered(&self) {
        let log = self.log().await;
        self.report(log.len() - self.deliveries.handled, self.deliveries.repeated);
        assert_eq!(self.deliveries.handled, log.len());
    }

    fn report(&self, lost: usize, duplicates: usize) {
        let (kills, written, mode) = (self.kills, self.written, self.mode);
        eprintln!("{mode:?}: kills {kills}, events {written}, lost {lost}, duplicates {duplicates}");
    }

    async fn cursor(&self) -> Position {
        let found = self.store.subscriptions().await.unwrap();
        found.iter().find(|found| found.name == NAME).map_or(Position::START, |found| found.cursor)
    }

    async fn table(&self) -> Vec<Position> {
        H::positions(self.store.engine().unwrap()).await
    }

    async fn log(&self) -> Vec<Position> {
        let mut log = self.store.log(LogFilter::new(), Position::START);
        let mut positions = Vec::new();
        loop {
            let page = log.page(10_000).await.unwrap();
            if page.events.is_empty() {
                return positions;
            }
            positions.extend(page.events.iter().map(RecordedEvent::position));
        }
    }
}
