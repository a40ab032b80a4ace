//! The store as such; the whole contract is the conformance suite's.

use std::sync::Arc;

use evercore::{
    AggregateTypeId, Codec, EventTypeId, Fingerprint, Payload, Position, Sequence,
    engine::{
        CommitError, CommitOutcome, EventFilter, Idempotency, KeyChange, LoadedSnapshot, LogPage, LogRead,
        NewSnapshot, PastCommit, StorageEngine, Timestamp,
    },
};

use crate::fixtures::{
    Place, TestResult, append, create, define, event, key, last_position, load, log, new_id,
};

#[tokio::test]
async fn what_is_written_is_read() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let outcome = engine.commit(&append(types, id, 0, 3)).await.expect("a commit");

    let loaded = load(&engine, id).await.expect("it exists");
    assert_eq!((loaded.version, loaded.events.len()), (Sequence::new(3), 3));
    let written = event(types, id, 2);
    let read = &loaded.events[1];
    assert_eq!(
        (read.sequence, read.time, &read.reference, &read.metadata, &read.payload),
        (written.sequence, written.time, &written.reference, &written.metadata, &written.payload)
    );
    assert_eq!(last_position(&outcome), loaded.events[2].position);
    assert_eq!(engine.head().await?, last_position(&outcome));
    assert_eq!(log(&engine, EventFilter::default()).await, loaded.events);
    Ok(())
}

#[tokio::test]
async fn bytes_of_other_codecs_survive() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let payloads = [
        Payload::new(Codec::new(7), vec![0, 0xff, 0, b'"']),
        Payload::new(Codec::JSON, vec![0xff, 0xfe]),
        Payload::new(Codec::JSON, b"\"a\0b\"".to_vec()),
        Payload::new(Codec::new(7), Vec::new()),
    ];
    let mut changes = append(types, id, 0, 4);
    for (event, payload) in changes.events.iter_mut().zip(&payloads) {
        event.payload = payload.clone();
    }
    engine.commit(&changes).await.expect("a commit");
    let read: Vec<_> =
        load(&engine, id).await.expect("it exists").events.into_iter().map(|e| e.payload).collect();
    assert_eq!(read, payloads);
    Ok(())
}

#[tokio::test]
async fn a_taken_key_is_told_from_other_refusals() {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let (first, second) = (new_id(&engine).await, new_id(&engine).await);
    engine.commit(&create(types, first, "a")).await.expect("a commit");
    let refused = engine.commit(&create(types, second, "a")).await;
    assert!(matches!(refused, Err(CommitError::DuplicateKey(id)) if id == second), "{refused:?}");
    assert!(load(&engine, second).await.is_none());

    let mut twice = append(types, second, 0, 1);
    twice.events.push(twice.events[0].clone());
    assert!(matches!(engine.commit(&twice).await, Err(CommitError::Engine(_))));
    engine.commit(&create(types, second, "b")).await.expect("the connection is usable after errors");
}

#[tokio::test]
async fn keys_are_swapped_in_one_commit() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let (first, second) = (new_id(&engine).await, new_id(&engine).await);
    engine.commit(&create(types, first, "a")).await.expect("a commit");
    engine.commit(&create(types, second, "b")).await.expect("a commit");

    let mut swap = append(types, first, 1, 0);
    swap.aggregates.extend(append(types, second, 1, 0).aggregates);
    swap.aggregates[0].key = KeyChange::Set { from: Some(key("a")), to: key("b") };
    swap.aggregates[1].key = KeyChange::Set { from: Some(key("b")), to: key("a") };
    engine.commit(&swap).await.expect("a swap");
    assert_eq!(engine.find_by_key(types.user, &key("a")).await?, Some(second));
    assert_eq!(engine.find_by_key(types.user, &key("b")).await?, Some(first));

    let stale = engine.commit(&swap).await;
    assert!(matches!(stale, Err(CommitError::Conflict { aggregate, actual: Some(actual) })
        if aggregate == first && actual == Sequence::new(1)));
    Ok(())
}

#[tokio::test]
async fn a_commit_with_a_known_key_is_repeated() {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut changes = append(types, id, 0, 1);
    changes.idempotency = Some(Idempotency { key: "k".into(), receipt: "r".into() });
    let Ok(CommitOutcome::Committed { last_position, committed_at }) = engine.commit(&changes).await else {
        panic!("the first commit is made");
    };
    let repeated = engine.commit(&changes).await.expect("no conflict");
    let expected = CommitOutcome::Repeated(PastCommit { receipt: "r".into(), last_position, committed_at });
    assert_eq!(repeated, expected);
}

#[tokio::test]
async fn an_older_snapshot_does_not_replace_a_newer_one() {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    engine.commit(&append(types, id, 0, 3)).await.expect("a commit");
    for (sequence, text) in [(2, "two"), (1, "one"), (2, "two again")] {
        let mut changes = append(types, id, 3, 0);
        changes.snapshots.push(NewSnapshot {
            aggregate_id: id,
            sequence: Sequence::new(sequence),
            fingerprint: Fingerprint::new(9),
            payload: Payload::encode(text).expect("JSON"),
        });
        engine.commit(&changes).await.expect("a commit");
    }
    let loaded = load(&engine, id).await.expect("it exists");
    let LoadedSnapshot::Found(snapshot) = loaded.snapshot else { panic!("there is a snapshot") };
    assert_eq!(snapshot.payload, Payload::encode("two again").expect("JSON"));
    assert_eq!(loaded.events.len(), 1, "events after the snapshot alone");
}

#[tokio::test]
async fn a_rare_event_is_found_at_once() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let (common, rare) = (new_id(&engine).await, new_id(&engine).await);
    engine.commit(&append(types, common, 0, 25_000)).await.expect("a commit");
    let mut changes = append(types, rare, 0, 1);
    let mut names = crate::fixtures::names();
    names.events.push("Rare".into());
    let rare_type = engine.define_types(&names).await?.events[1].0;
    changes.events[0].event_type = rare_type;
    engine.commit(&changes).await.expect("a commit");

    let filter = EventFilter { event_types: Some(Arc::new([rare_type])), ..EventFilter::default() };
    let first =
        engine.read_log(&LogRead { filter: filter.clone(), after: Position::START, limit: 10 }).await?;
    assert_eq!((first.events.len(), first.end), (1, engine.head().await?));
    assert_eq!(log(&engine, filter).await.len(), 1);

    let aggregate = EventFilter { aggregate: Some(rare), ..EventFilter::default() };
    let page = engine.read_log(&LogRead { filter: aggregate, after: Position::START, limit: 10 }).await?;
    assert_eq!((page.events.len(), page.end), (1, engine.head().await?));

    let nothing = EventFilter {
        aggregate_types: Some(Arc::new([AggregateTypeId::new(99)])),
        event_types: Some(Arc::new([EventTypeId::new(1)])),
        ..EventFilter::default()
    };
    assert_eq!(log(&engine, nothing).await, []);
    Ok(())
}

#[tokio::test]
async fn a_long_aggregate_is_read_page_by_page() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let mut names = crate::fixtures::names();
    names.events.push("Rare".into());
    let rare = engine.define_types(&names).await?.events[1].0;
    let (long, other) = (new_id(&engine).await, new_id(&engine).await);
    let mut changes = append(types, long, 0, 25_000);
    changes.events[24_000].event_type = rare;
    engine.commit(&changes).await.expect("a commit");
    for version in 0..10 {
        engine.commit(&append(types, other, version, 1)).await.expect("a commit");
        engine.commit(&append(types, long, 25_000 + version, 1)).await.expect("a commit");
    }
    let whole = log(&engine, EventFilter { aggregate: Some(long), ..EventFilter::default() }).await;
    assert!(whole.iter().map(|event| event.sequence.get()).eq(1..=25_010));

    // From every kind of place: at an event of the aggregate, at one of another, before and after all.
    let head = engine.head().await?;
    for after in [0, 1, 24_999, 25_000, 25_001, 25_002, 25_019, 25_020, 30_000] {
        let filter = EventFilter { aggregate: Some(long), ..EventFilter::default() };
        let page = engine.read_log(&LogRead { filter, after: Position::new(after), limit: 9 }).await?;
        let expected: Vec<_> =
            whole.iter().filter(|event| event.position.get() > after).take(9).cloned().collect();
        let end = if expected.len() == 9 { expected[8].position } else { head.max(Position::new(after)) };
        assert_eq!(page, LogPage { events: expected, end }, "after {after}");
    }

    let filter =
        EventFilter { aggregate: Some(long), event_types: Some([rare].into()), ..EventFilter::default() };
    let first = LogRead { filter: filter.clone(), after: Position::START, limit: 10 };
    let first = engine.read_log(&first).await?;
    assert!(
        first.events.is_empty() && first.end > Position::START && first.end < head,
        "it stops on the way"
    );
    assert_eq!(log(&engine, filter).await.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_time_is_located_between_commits() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    assert_eq!(engine.locate(Timestamp::now()).await?, Position::START);
    let mut commits = Vec::new();
    for _ in 0..20 {
        let id = new_id(&engine).await;
        let outcome = engine.commit(&append(types, id, 0, 3)).await.expect("a commit");
        let CommitOutcome::Committed { committed_at, .. } = outcome else { panic!("committed") };
        commits.push((committed_at, last_position(&outcome)));
    }
    for (committed_at, _) in &commits {
        let before =
            commits.iter().filter(|(time, _)| time < committed_at).map(|(_, position)| *position).max();
        assert_eq!(engine.locate(*committed_at).await?, before.unwrap_or(Position::START));
    }
    let (last, head) = commits[19];
    let later = Timestamp::from_micros(last.micros() + 1).expect("a time");
    assert_eq!(engine.locate(later).await?, head);
    Ok(())
}

#[tokio::test]
async fn recorded_times_never_decrease() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    engine.commit(&append(types, id, 0, 1)).await.expect("a commit");
    // As if the clock had been ahead when the first event was written.
    let ahead = Timestamp::now().micros() + 3_600_000_000;
    place.shell().execute("UPDATE evercore_events SET recorded_at = ?1", [ahead])?;
    engine.commit(&append(types, id, 1, 1)).await.expect("a commit");
    assert_eq!(load(&engine, id).await.expect("it exists").events[1].recorded_at.micros(), ahead);
    Ok(())
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_is_whole() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    for _ in 0..50 {
        let id = new_id(&engine).await;
        let changes = append(types, id, 0, 20);
        // Polled once, which hands the changes over, then dropped.
        tokio::select! {
            biased;
            _ = engine.commit(&changes) => {}
            () = std::future::ready(()) => {}
        }
    }
    engine.close().await?;
    let events = log(&place.engine().await, EventFilter::default()).await;
    assert_eq!(events.len(), 50 * 20);
    Ok(())
}
