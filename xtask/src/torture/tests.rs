//! The run, short enough for every day.

use std::time::Duration;

use super::{options::Options, run::run, writer::Tally};

/// From this seed all kinds are among the first transactions of the writers.
const SEED: u64 = 12;

/// So often a run without the horizon is tried until it loses something. Nearly always the first one does.
const TRIES: u64 = 20;

#[test]
fn readers_get_every_event_once_and_in_order() {
    let options = Options { duration: Duration::from_secs(4), ..Options::new(SEED) };
    let report = run(&options).expect("the run can be made");
    println!("{report}");
    assert!(report.is_clean(), "repeat it with `{options}`\n{report}");
    assert!(report.readers.iter().all(|reader| reader.verdict.events > 0), "all readers have read something");
    let Tally { committed, rolled_back, early, savepoints, bulk, .. } = report.tally;
    for (kind, count) in [
        ("committed", committed),
        ("rolled back", rolled_back),
        ("with an early number", early),
        ("with a savepoint", savepoints),
        ("large", bulk),
    ] {
        assert!(count > 0, "there were none {kind}, so that nothing was shown of these");
    }
}

#[test]
fn without_the_horizon_readers_lose_events() {
    let runs = (0..TRIES).map(|seed| {
        let options =
            Options { duration: Duration::from_secs(1), without_horizon: true, ..Options::new(seed) };
        run(&options).expect("the run can be made")
    });
    let mut lossy = runs.filter(|report| report.readers.iter().any(|reader| reader.verdict.lost > 0));
    let report = lossy.next().expect("one of the runs has lost events");
    assert!(report.books.is_clean(), "they are stored, and readers do not get them");
    assert!(!report.is_clean());
}
