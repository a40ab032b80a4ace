//! What is shown while a run goes on.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tokio::time::sleep;

/// How far everybody is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    written: AtomicUsize,
    read: Vec<AtomicUsize>,
}

impl Progress {
    pub(super) fn of(readers: usize) -> Self {
        Self { written: AtomicUsize::default(), read: (0..readers).map(|_| AtomicUsize::default()).collect() }
    }

    pub(super) fn written(&self, events: usize) {
        self.written.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn read(&self, reader: usize, events: usize) {
        self.read[reader].fetch_add(events, Ordering::Relaxed);
    }

    /// Prints a line every few seconds, and never ends.
    pub(super) async fn show(&self) {
        let begin = Instant::now();
        loop {
            sleep(Duration::from_secs(2)).await;
            let written = self.written.load(Ordering::Relaxed);
            let read = self.read.iter().map(|count| format!(" {:>9}", count.load(Ordering::Relaxed)));
            let seconds = begin.elapsed().as_secs();
            eprintln!("{seconds:>4} s  {written:>9} events written, read:{}", read.collect::<String>());
        }
    }
}
