//! Order: the log, its head, times in it, and the doorbell.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Harness,
    fixtures::{Sample, sequences, time},
};
use crate::{
    AggregateId, Position, Sequence,
    engine::{EventFilter, LogPage, LogRead, StorageEngine, StoredEvent, Timestamp},
};

pub(super) async fn pages_of_every_size_show_every_event_once<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    for events in [1, 2, 3, 4] {
        sample.account(events).await;
    }
    let log = sample.log().await;
    assert_eq!(sequences(&log), [1, 1, 2, 1, 2, 3, 1, 2, 3, 4]);
    assert!(log.is_sorted_by(|one, next| one.position < next.position));
    for limit in [1, 2, 3, 5, 9, 10, 11, u32::MAX] {
        assert_eq!(sample.pages(EventFilter::default(), limit).await, log, "pages of {limit}");
    }
}

pub(super) async fn a_full_page_ends_at_its_last_event<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.account(7).await;
    let head = sample.head().await.unwrap();
    let (mut after, mut full) = (Position::START, 0);
    while after < head {
        let page = read(&sample, EventFilter::default(), after, 2).await;
        if let [_, last] = page.events.as_slice() {
            assert_eq!(page.end, last.position);
            full += 1;
        }
        after = page.end;
    }
    assert!(full > 0, "among the pages was a full one");
}

pub(super) async fn a_page_that_is_not_full_ends_at_the_head_or_further_on<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.account(5).await;
    let head = sample.head().await.unwrap();
    let nothing = EventFilter { aggregate: Some(AggregateId::new(i64::MAX)), ..EventFilter::default() };
    for filter in [EventFilter::default(), nothing] {
        let mut after = Position::START;
        while after < head {
            let page = read(&sample, filter.clone(), after, 100).await;
            assert!(after < page.end && page.end <= head, "{after} < {} <= {head}", page.end);
            after = page.end;
        }
    }
}

pub(super) async fn after_the_head_there_is_nothing<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let empty = |end| LogPage { events: vec![], end };
    assert_eq!(read(&sample, EventFilter::default(), Position::START, 10).await, empty(Position::START));
    sample.account(3).await;
    let head = sample.head().await.unwrap();
    let beyond = Position::new(head.get() + 1_000_000);
    assert_eq!(read(&sample, EventFilter::default(), head, 10).await, empty(head));
    assert_eq!(read(&sample, EventFilter::default(), beyond, 10).await, empty(beyond));
}

pub(super) async fn a_filter_lets_through_what_all_of_its_parts_allow<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let types = sample.types;
    let [account, order, other] = sample.new_ids().await;
    let draft = sample.draft().create(account).create_of(types.order, order).create(other).events(1);
    let draft = draft.again(order).events(3).again(account).events(2).again(other).events(1);
    sample.write(draft).await;

    let any = EventFilter::default;
    let filters = [
        EventFilter { aggregate_types: Some([types.account].into()), ..any() },
        EventFilter { aggregate_types: Some([types.order].into()), ..any() },
        EventFilter { aggregate_types: Some([types.order, types.account].into()), ..any() },
        EventFilter { event_types: Some([types.opened].into()), ..any() },
        EventFilter { event_types: Some([types.changed, types.opened].into()), ..any() },
        EventFilter { aggregate: Some(order), ..any() },
        EventFilter {
            aggregate_types: Some([types.account].into()),
            event_types: Some([types.changed].into()),
            aggregate: Some(other),
        },
        EventFilter { aggregate_types: Some([types.order].into()), aggregate: Some(account), ..any() },
    ];
    let log = sample.log().await;
    for (filter, count) in filters.into_iter().zip([4, 3, 7, 3, 7, 3, 1, 0]) {
        let expected: Vec<_> = log.iter().filter(|event| filter.allows(event)).cloned().collect();
        assert_eq!(expected.len(), count, "{filter:?}");
        assert_eq!(sample.pages(filter.clone(), 2).await, expected, "{filter:?}");
        assert_eq!(sample.pages(filter.clone(), 100).await, expected, "{filter:?}");
    }
}

pub(super) async fn a_filter_of_no_types_lets_nothing_through<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.account(3).await;
    let no_aggregates = EventFilter { aggregate_types: Some([].into()), ..EventFilter::default() };
    let no_events = EventFilter { event_types: Some([].into()), ..EventFilter::default() };
    assert_eq!(sample.pages(no_aggregates, 10).await, []);
    assert_eq!(sample.pages(no_events, 10).await, []);
}

pub(super) async fn the_filter_is_applied_before_the_limit<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let wanted = sample.account(1).await;
    sample.account(50).await;
    sample.write(sample.draft().at(wanted, 1).events(1)).await;
    sample.account(50).await;
    sample.write(sample.draft().at(wanted, 2).events(1)).await;

    // A page may be cut short, but never by events that the filter keeps out: two pages of one event each
    // are enough for two of them when nothing is.
    let filter = EventFilter { aggregate: Some(wanted), ..EventFilter::default() };
    let page = read(&sample, filter.clone(), Position::START, 2).await;
    assert_eq!(sequences(&page.events), [1, 2]);
    let page = read(&sample, filter, page.end, 2).await;
    assert_eq!(sequences(&page.events), [3]);
}

pub(super) async fn a_reader_beside_writers_misses_nothing<H: Harness>(harness: H) {
    const WRITERS: usize = 8;
    const COMMITS: usize = 30;
    let engines = [Sample::open(&harness).await, Sample::open(&harness).await];
    let writers: Vec<_> = engines
        .iter()
        .cycle()
        .take(WRITERS)
        .cloned()
        .map(|engine| tokio::spawn(write_some(engine, COMMITS)))
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_until(engines[1].clone(), Arc::clone(&done)));
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);

    let read = reader.await.unwrap();
    assert!(read.is_sorted_by(|one, next| one.position < next.position), "positions only grow");
    assert_eq!(read.len(), WRITERS * COMMITS * 2, "nothing is missing, nothing comes twice");
    assert!(read == engines[0].log().await, "later readers see the same");
    let mut versions: HashMap<AggregateId, Sequence> = HashMap::new();
    for event in &read {
        let version = versions.entry(event.aggregate_id).or_insert(Sequence::NONE);
        assert_eq!(event.sequence, version.next(), "the events of an aggregate come in order");
        *version = event.sequence;
    }
}

/// Commits of one and of three events, two on average.
async fn write_some<E: StorageEngine>(engine: Sample<E>, commits: usize) {
    let id = engine.account(0).await;
    let mut version = 0;
    for commit in 0..commits {
        let events = if commit % 2 == 0 { 1 } else { 3 };
        engine.write(engine.draft().at(id, version).events(events)).await;
        version += events as i64;
    }
}

/// Reads page by page, to the head that is there when `done` is set.
async fn read_until<E: StorageEngine>(engine: Sample<E>, done: Arc<AtomicBool>) -> Vec<StoredEvent> {
    let (mut events, mut after) = (Vec::new(), Position::START);
    loop {
        let last_round = done.load(Ordering::SeqCst);
        let head = engine.head().await.unwrap();
        while after < head {
            let page = read(&engine, EventFilter::default(), after, 7).await;
            after = page.end;
            events.extend(page.events);
        }
        if last_round {
            return events;
        }
        tokio::task::yield_now().await;
    }
}

pub(super) async fn the_head_of_an_empty_store_is_the_start<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    assert_eq!(sample.head().await.unwrap(), Position::START);
    sample.account(0).await;
    assert_eq!(sample.head().await.unwrap(), Position::START, "without events nothing moves");
}

pub(super) async fn the_head_covers_every_commit_that_returned<H: Harness>(harness: H) {
    let (writer, reader) = (Sample::open(&harness).await, Sample::open(&harness).await);
    for _ in 0..20 {
        let id = writer.new_id().await;
        let committed = writer.write(writer.draft().create(id).events(2)).await;
        assert_eq!(Some(reader.head().await.unwrap()), committed.last_position);
    }
    assert_eq!(reader.log().await.len(), 40);
}

pub(super) async fn the_head_is_there_after_a_restart<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.account(3).await;
    let head = sample.head().await.unwrap();
    sample.close().await.unwrap();

    let sample = Sample::open(&harness).await;
    assert_eq!(sample.head().await.unwrap(), head);
    let id = sample.account(1).await;
    assert!(sample.whole(id).await.events[0].position > head, "positions are not used again");
}

pub(super) async fn a_time_is_located_before_what_was_recorded_at_it<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    assert_eq!(sample.locate(time(0)).await.unwrap(), Position::START, "in an empty store");

    let first = sample.account_after(time(0)).await;
    let second = sample.account_after(first.committed_at).await;
    let third = sample.account_after(second.committed_at).await;
    for (since, expected) in [
        (time(0), vec![first, second, third]),
        (first.committed_at, vec![first, second, third]),
        (later(first.committed_at), vec![second, third]),
        (second.committed_at, vec![second, third]),
        (later(second.committed_at), vec![third]),
        (third.committed_at, vec![third]),
        (later(third.committed_at), vec![]),
    ] {
        let after = sample.locate(since).await.unwrap();
        let page = read(&sample, EventFilter::default(), after, u32::MAX).await;
        let recorded: Vec<_> =
            page.events.iter().map(|event| event.recorded_at).filter(|at| *at >= since).collect();
        assert_eq!(recorded.len(), page.events.len(), "all after {after} were recorded at {since} or later");
        let expected = expected.first().map(|committed| committed.last_position);
        assert_eq!(page.events.first().map(|event| Some(event.position)), expected, "since {since}");
    }
}

pub(super) async fn a_time_after_everything_is_located_at_the_head<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let last = sample.account_after(time(0)).await;
    let after = sample.locate(later(last.committed_at)).await.unwrap();
    assert_eq!(after, sample.head().await.unwrap());
}

pub(super) async fn the_doorbell_rings_when_events_can_be_read<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let mut after = Position::START;
    for _ in 0..20 {
        let mut listener = sample.watch();
        let writer = sample.clone();
        let writing = tokio::spawn(async move { writer.account(1).await });
        let mut page = read(&sample, EventFilter::default(), after, 10).await;
        while page.events.is_empty() {
            listener.rung().await;
            page = read(&sample, EventFilter::default(), after, 10).await;
        }
        after = page.end;
        writing.await.unwrap();
    }
}

pub(super) async fn the_doorbell_rings_for_everyone_who_listens<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (mut first, mut second) = (sample.watch(), sample.watch());
    sample.account(1).await;
    first.rung().await;
    second.rung().await;
}

async fn read<E: StorageEngine>(
    sample: &Sample<E>,
    filter: EventFilter,
    after: Position,
    limit: u32,
) -> LogPage {
    sample.read_log(&LogRead { filter, after, limit }).await.unwrap()
}

fn later(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros() + 1).unwrap()
}
