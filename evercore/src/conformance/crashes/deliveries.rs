//! What several processes were given, one after the other.

use super::process::Said;
use crate::Position;

/// What was delivered, by places in the log.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// So many events from the beginning were handled at least once.
    pub(super) handled: usize,
    /// So many were handled again.
    pub(super) repeated: usize,
    /// Where the batch begins that is in hand.
    batch: usize,
    /// The place of the event that was handled last by the process that runs, if it has handled one.
    last: Option<usize>,
    /// Where the next process has to begin, if that is known.
    beginning: Option<usize>,
}

impl Deliveries {
    /// Takes notice of what a process says.
    pub(super) fn take(&mut self, said: &Said, log: &[Position]) {
        let place = |position| log.binary_search(&position).expect("an event of the log");
        match said.what.as_str() {
            "claimed" => self.last = None,
            "batch" => {
                let place = place(said.position);
                self.check(place);
                self.batch = place;
            }
            "event" => {
                let place = place(said.position);
                self.check(place);
                self.last = Some(place);
                match place < self.handled {
                    true => self.repeated += 1,
                    false => self.handled += 1,
                }
            }
            _ => {}
        }
    }

    /// The process was killed at a known step. What it had handled of the batch in hand comes again or not.
    pub(super) fn expect_repetition(&mut self, is_repeated: bool) {
        self.beginning = Some(if is_repeated { self.batch } else { self.handled });
    }

    /// Nothing is left out, and nothing comes again but the batch that was in hand when a process was killed.
    fn check(&mut self, place: usize) {
        match self.last {
            Some(last) => assert_eq!(place, last + 1, "an event comes after the one before it"),
            None => {
                assert!(place <= self.handled, "events before {place} are lost, {self:?}");
                assert!(place >= self.batch, "events from {place} on were checkpointed, {self:?}");
                if let Some(beginning) = self.beginning.take() {
                    assert_eq!(place, beginning, "where the next process begins");
                }
            }
        }
    }
}
