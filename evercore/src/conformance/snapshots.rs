//! Snapshots: at most one for each aggregate.

use super::{
    Harness,
    fixtures::{SHAPE, Sample, json, numbers, sequences, whole, with_snapshot},
};
use crate::{
    AggregateId, Codec, Fingerprint, Payload, Sequence,
    engine::{Load, LoadedSnapshot, SnapshotUse, StorageEngine, StoredSnapshot},
};

const OTHER_SHAPE: Fingerprint = Fingerprint::new(8);

pub(super) async fn without_one_all_events_are_loaded<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(3).await;
    for snapshot in [SnapshotUse::Ignore, SnapshotUse::Any, SnapshotUse::Fitting(SHAPE)] {
        assert_eq!(sample.load_one(with_snapshot(id, snapshot)).await, Some(sample.whole(id).await));
    }
}

pub(super) async fn only_events_after_it_are_loaded<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = account_with_snapshot(&sample).await;
    for snapshot in [SnapshotUse::Any, SnapshotUse::Fitting(SHAPE)] {
        let loaded = sample.load_one(with_snapshot(id, snapshot)).await.unwrap();
        assert_eq!(loaded.snapshot, found(3, "state"));
        assert_eq!(sequences(&loaded.events), [4, 5]);
        assert_eq!(loaded.version, Sequence::new(5));
    }
}

pub(super) async fn one_of_the_last_event_leaves_no_events<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    sample.write(sample.draft().create(id).events(4).snapshot(4, "state")).await;
    let loaded = sample.load_one(with_snapshot(id, SnapshotUse::Any)).await.unwrap();
    assert_eq!((loaded.snapshot, loaded.events), (found(4, "state"), vec![]));
}

pub(super) async fn one_that_is_not_asked_for_is_ignored<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = account_with_snapshot(&sample).await;
    let loaded = sample.whole(id).await;
    assert_eq!(loaded.snapshot, LoadedSnapshot::None);
    assert_eq!(sequences(&loaded.events), numbers(1, 5));
}

pub(super) async fn one_with_another_fingerprint_is_a_misfit<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = account_with_snapshot(&sample).await;
    let loaded = sample.load_one(with_snapshot(id, SnapshotUse::Fitting(OTHER_SHAPE))).await.unwrap();
    assert_eq!(loaded.snapshot, LoadedSnapshot::Misfit);
    assert_eq!(loaded.events, sample.whole(id).await.events, "the events are those of a load without it");
}

pub(super) async fn one_at_or_before_after_is_none<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = account_with_snapshot(&sample).await;
    for snapshot in [SnapshotUse::Any, SnapshotUse::Fitting(SHAPE), SnapshotUse::Fitting(OTHER_SHAPE)] {
        for (after, expected) in [(3, vec![4, 5]), (4, vec![5]), (5, vec![])] {
            let load = Load { after: Sequence::new(after), ..with_snapshot(id, snapshot) };
            let loaded = sample.load_one(load).await.unwrap();
            assert_eq!(loaded.snapshot, LoadedSnapshot::None, "after {after}");
            assert_eq!(sequences(&loaded.events), expected, "after {after}");
        }
    }
    let load = Load { after: Sequence::new(2), ..with_snapshot(id, SnapshotUse::Any) };
    let loaded = sample.load_one(load).await.unwrap();
    assert_eq!((loaded.snapshot, sequences(&loaded.events)), (found(3, "state"), vec![4, 5]));
}

pub(super) async fn a_limit_does_not_affect_it<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = account_with_snapshot(&sample).await;
    let load = Load { limit: 1, ..with_snapshot(id, SnapshotUse::Any) };
    let loaded = sample.load_one(load).await.unwrap();
    assert_eq!((loaded.snapshot, sequences(&loaded.events)), (found(3, "state"), vec![4]));

    let load = Load { limit: 2, ..with_snapshot(id, SnapshotUse::Fitting(OTHER_SHAPE)) };
    let loaded = sample.load_one(load).await.unwrap();
    assert_eq!((loaded.snapshot, sequences(&loaded.events)), (LoadedSnapshot::Misfit, vec![1, 2]));
}

pub(super) async fn a_newer_one_replaces_it<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = account_with_snapshot(&sample).await;
    let newer = sample.draft().at(id, 5).events(1).snapshot_of(OTHER_SHAPE, 6, json("newer"));
    sample.write(newer).await;
    assert_eq!(snapshot(&sample, id).await, found(6, "newer"));
    let loaded = sample.load_one(with_snapshot(id, SnapshotUse::Fitting(SHAPE))).await.unwrap();
    assert_eq!(loaded.snapshot, LoadedSnapshot::Misfit, "one snapshot is kept, and its shape with it");
}

pub(super) async fn one_of_the_same_sequence_replaces_it<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = account_with_snapshot(&sample).await;
    sample.write(sample.draft().at(id, 5).snapshot_of(OTHER_SHAPE, 3, json("again"))).await;
    assert_eq!(snapshot(&sample, id).await, found(3, "again"));
    let load = with_snapshot(id, SnapshotUse::Fitting(OTHER_SHAPE));
    assert_eq!(sample.load_one(load).await.unwrap().snapshot, found(3, "again"));
}

pub(super) async fn an_older_one_does_not_replace_it<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = account_with_snapshot(&sample).await;
    sample.write(sample.draft().at(id, 5).events(1).snapshot_of(OTHER_SHAPE, 2, json("older"))).await;
    assert_eq!(sample.version(id).await, 6, "the rest of the commit is written");
    let loaded = sample.load_one(with_snapshot(id, SnapshotUse::Fitting(SHAPE))).await.unwrap();
    assert_eq!(loaded.snapshot, found(3, "state"));
}

pub(super) async fn each_aggregate_has_its_own<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let [left, right] = sample.new_ids().await;
    let draft = sample.draft().create(left).events(2).snapshot(1, "left").create(right).events(2);
    sample.write(draft.snapshot(2, "right")).await;
    assert_eq!(snapshot(&sample, left).await, found(1, "left"));
    assert_eq!(snapshot(&sample, right).await, found(2, "right"));
}

pub(super) async fn bytes_of_other_codecs_come_back<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    let payload = Payload::new(Codec::new(9), vec![0xff, 0x00, 0xc3, 0x28]);
    sample.write(sample.draft().create(id).events(1).snapshot_of(SHAPE, 1, payload.clone())).await;
    let expected = LoadedSnapshot::Found(StoredSnapshot { sequence: Sequence::new(1), payload });
    assert_eq!(snapshot(&sample, id).await, expected);
    assert_eq!(sample.load_one(whole(id)).await.unwrap().snapshot, LoadedSnapshot::None);
}

/// An account with five events and a snapshot at the third.
async fn account_with_snapshot<E: StorageEngine>(sample: &Sample<E>) -> AggregateId {
    let id = sample.new_id().await;
    sample.write(sample.draft().create(id).events(5).snapshot(3, "state")).await;
    id
}

async fn snapshot<E: StorageEngine>(sample: &Sample<E>, id: AggregateId) -> LoadedSnapshot {
    sample.load_one(with_snapshot(id, SnapshotUse::Any)).await.unwrap().snapshot
}

fn found(sequence: i64, state: &str) -> LoadedSnapshot {
    LoadedSnapshot::Found(StoredSnapshot { sequence: Sequence::new(sequence), payload: json(state) })
}
