//! What readers got, against what was written.

use std::collections::{HashMap, HashSet};

use evercore::{AggregateId, Position, RecordedEvent, Sequence, engine::StoredEvent};

/// What an event is, wherever it stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Event {
    pub(super) aggregate: AggregateId,
    pub(super) sequence: Sequence,
}

/// An event in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) event: Event,
}

/// How often a reader was let down.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Events that it got, however often.
    pub(super) events: usize,
    /// Stored, and never delivered.
    pub(super) lost: usize,
    /// Delivered again.
    pub(super) duplicated: usize,
    /// Delivered after a later event of the same aggregate.
    pub(super) reordered: usize,
    /// Delivered after an event with a higher position.
    pub(super) inversions: usize,
    /// Delivered, and not stored: perhaps rolled back.
    pub(super) unknown: usize,
}

/// What is wrong with what is stored, by what writers were told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Books {
    /// Reported to a writer, and not stored.
    pub(super) missing: usize,
    /// Stored, and not reported to anybody.
    pub(super) unreported: usize,
}

impl Verdict {
    /// On a reader that got `delivered` where `stored` is what it was to get.
    pub(super) fn on(delivered: impl IntoIterator<Item = Entry>, stored: &[Entry]) -> Self {
        let stored: HashSet<Entry> = stored.iter().copied().collect();
        let mut seen = HashSet::with_capacity(stored.len());
        let (mut furthest, mut latest) = (Position::START, HashMap::new());
        let mut verdict = Self::default();
        for entry in delivered {
            verdict.events += 1;
            if !stored.contains(&entry) {
                verdict.unknown += 1;
                continue;
            }
            if !seen.insert(entry) {
                verdict.duplicated += 1;
                continue;
            }
            let Event { aggregate, sequence } = entry.event;
            let last = latest.entry(aggregate).or_insert(sequence);
            verdict.reordered += usize::from(sequence < *last);
            verdict.inversions += usize::from(entry.position < furthest);
            (*last, furthest) = (sequence.max(*last), entry.position.max(furthest));
        }
        verdict.lost = stored.len() - seen.len();
        verdict
    }

    pub(super) fn is_clean(&self) -> bool {
        let Self { events: _, lost, duplicated, reordered, inversions, unknown } = self;
        lost + duplicated + reordered + inversions + unknown == 0
    }
}

impl Books {
    pub(super) fn compare(reported: impl IntoIterator<Item = Event>, stored: &[Entry]) -> Self {
        let reported: HashSet<Event> = reported.into_iter().collect();
        let stored: HashSet<Event> = stored.iter().map(|entry| entry.event).collect();
        Self {
            missing: reported.difference(&stored).count(),
            unreported: stored.difference(&reported).count(),
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

impl From<&RecordedEvent> for Entry {
    fn from(event: &RecordedEvent) -> Self {
        let (aggregate, sequence) = (event.aggregate_id(), event.sequence());
        Self { position: event.position(), event: Event { aggregate, sequence } }
    }
}

impl From<&StoredEvent> for Entry {
    fn from(event: &StoredEvent) -> Self {
        let StoredEvent { position, aggregate_id, sequence, .. } = event;
        Self { position: *position, event: Event { aggregate: *aggregate_id, sequence: *sequence } }
    }
}

#[cfg(test)]
mod tests {
    use super::{AggregateId, Books, Entry, Event, Position, Sequence, Verdict};

    fn entry(position: i64, aggregate: i64, sequence: i64) -> Entry {
        let event = Event { aggregate: AggregateId::new(aggregate), sequence: Sequence::new(sequence) };
        Entry { position: Position::new(position), event }
    }

    /// Two aggregates; position 3 was rolled back.
    fn history() -> [Entry; 4] {
        [entry(1, 7, 1), entry(2, 8, 1), entry(4, 7, 2), entry(5, 8, 2)]
    }

    fn verdict(places: &[usize]) -> Verdict {
        Verdict::on(places.iter().map(|place| history()[*place]), &history())
    }

    #[test]
    fn a_reader_that_gets_all_in_order_is_fine() {
        let verdict = verdict(&[0, 1, 2, 3]);
        assert_eq!(verdict, Verdict { events: 4, ..Verdict::default() });
        assert!(verdict.is_clean());
    }

    #[test]
    fn a_lost_event_is_found() {
        for places in [[0, 1, 2], [0, 1, 3], [1, 2, 3]] {
            let verdict = verdict(&places);
            assert_eq!(verdict, Verdict { events: 3, lost: 1, ..Verdict::default() });
            assert!(!verdict.is_clean());
        }
    }

    #[test]
    fn a_duplicated_event_is_found() {
        let verdict = verdict(&[0, 1, 1, 2, 3, 0]);
        assert_eq!(verdict, Verdict { events: 6, duplicated: 2, ..Verdict::default() });
        assert!(!verdict.is_clean());
    }

    #[test]
    fn an_event_that_comes_late_is_found() {
        // Behind one of the other aggregate, then behind one of its own.
        let late = verdict(&[1, 0, 2, 3]);
        assert_eq!(late, Verdict { events: 4, inversions: 1, ..Verdict::default() });
        assert!(!late.is_clean());
        let reordered = verdict(&[1, 2, 0, 3]);
        assert_eq!(reordered, Verdict { events: 4, inversions: 1, reordered: 1, ..Verdict::default() });
        assert!(!reordered.is_clean());
    }

    /// Positions may be in order while the events of an aggregate are not.
    #[test]
    fn a_log_in_which_an_aggregate_goes_backwards_is_found() {
        let stored = [entry(1, 7, 2), entry(2, 7, 1)];
        let verdict = Verdict::on(stored, &stored);
        assert_eq!(verdict, Verdict { events: 2, reordered: 1, ..Verdict::default() });
        assert!(!verdict.is_clean());
    }

    #[test]
    fn an_event_that_is_not_stored_is_found() {
        // One that was rolled back, and one whose position another one has.
        for wrong in [entry(3, 7, 2), entry(4, 8, 2)] {
            let verdict = Verdict::on(history().into_iter().chain([wrong]), &history());
            assert_eq!(verdict, Verdict { events: 5, unknown: 1, ..Verdict::default() });
            assert!(!verdict.is_clean());
        }
    }

    #[test]
    fn what_writers_were_told_is_compared_with_what_is_stored() {
        let reported = history().map(|entry| entry.event);
        assert!(Books::compare(reported, &history()).is_clean());
        let books = Books::compare(reported, &history()[1..]);
        assert_eq!(books, Books { missing: 1, unreported: 0 });
        let books = Books::compare(reported.into_iter().skip(2), &history());
        assert_eq!(books, Books { missing: 0, unreported: 2 });
        assert!(!books.is_clean());
    }
}
