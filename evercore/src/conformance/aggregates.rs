//! Aggregates: loading and listing them.

use super::{
    Harness,
    fixtures::{Sample, key, numbers, sequences, time, whole, whole_by_key, with_snapshot},
};
use crate::{
    AggregateId, Sequence,
    engine::{Load, LoadedSnapshot, SnapshotUse, StorageEngine},
};

pub(super) async fn one_that_does_not_exist_is_none<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let reserved = sample.new_id().await;
    sample.account_with_key("taken").await;
    let (account, order) = (sample.types.account, sample.types.order);
    let requests = [
        whole(reserved),
        whole(AggregateId::new(i64::MAX)),
        whole_by_key(account, "free"),
        whole_by_key(order, "taken"),
    ];
    assert_eq!(sample.load(&requests).await.unwrap(), [None, None, None, None]);
}

pub(super) async fn it_is_loaded_by_id_and_by_key<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    sample.write(sample.draft().create(id).key("john").events(3)).await;

    let loaded = sample.whole(id).await;
    assert_eq!((loaded.id, loaded.type_id), (id, sample.types.account));
    assert_eq!((loaded.key.clone(), loaded.version), (Some(key("john")), Sequence::new(3)));
    assert_eq!(loaded.snapshot, LoadedSnapshot::None);
    assert_eq!(sequences(&loaded.events), [1, 2, 3]);
    assert_eq!(sample.load_one(whole_by_key(sample.types.account, "john")).await, Some(loaded));
}

pub(super) async fn by_id_it_is_loaded_whatever_its_type<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let [account, order] = sample.new_ids().await;
    let draft = sample.draft().create(account).events(1).create_of(sample.types.order, order).events(1);
    sample.write(draft).await;
    assert_eq!(sample.whole(account).await.type_id, sample.types.account);
    assert_eq!(sample.whole(order).await.type_id, sample.types.order);
}

pub(super) async fn one_without_events_exists<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    let committed = sample.write(sample.draft().create(id).key("empty")).await;
    assert_eq!(committed.last_position, None);

    let loaded = sample.whole(id).await;
    assert_eq!((loaded.version, loaded.key), (Sequence::NONE, Some(key("empty"))));
    assert_eq!(loaded.events, []);
    sample.write(sample.draft().at(id, 0).events(2)).await;
    assert_eq!(sample.version(id).await, 2);
}

pub(super) async fn answers_come_in_the_order_of_the_requests<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (one, two) = (sample.account(1).await, sample.account(2).await);
    let three = sample.account_with_key("three").await;
    let requests = [
        whole_by_key(sample.types.account, "three"),
        whole(two),
        whole_by_key(sample.types.account, "nobody"),
        whole(one),
    ];
    let answers = sample.load(&requests).await.unwrap();
    let ids: Vec<_> = answers.into_iter().map(|answer| answer.map(|loaded| loaded.id)).collect();
    assert_eq!(ids, [Some(three), Some(two), None, Some(one)]);
}

pub(super) async fn the_same_request_twice_gets_the_same_answer_twice<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account_with_key("twice").await;
    let by_key = || whole_by_key(sample.types.account, "twice");
    let answers = sample.load(&[whole(id), by_key(), whole(id), by_key()]).await.unwrap();
    assert_eq!(answers, vec![Some(sample.whole(id).await); 4]);
}

pub(super) async fn a_thousand_are_loaded_at_once<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let ids: [AggregateId; 1000] = sample.new_ids().await;
    let draft = ids.iter().fold(sample.draft(), |draft, id| draft.create(*id).events(2).snapshot(1, "state"));
    sample.write(draft).await;

    let requests: Vec<_> = ids.iter().map(|id| with_snapshot(*id, SnapshotUse::Any)).collect();
    let answers = sample.load(&requests).await.unwrap();
    assert_eq!(answers.len(), ids.len());
    for (id, answer) in ids.into_iter().zip(answers) {
        let loaded = answer.unwrap();
        assert_eq!(loaded.id, id);
        assert_eq!(sequences(&loaded.events), [2]);
    }
    assert_eq!(sample.load(&[]).await.unwrap(), []);
}

pub(super) async fn version_snapshot_and_events_belong_to_one_moment<H: Harness>(harness: H) {
    const LAST: i64 = 202;
    let (sample, writer) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let id = sample.account(2).await;
    // Every commit leaves a snapshot of the last sequence but one.
    let writing = tokio::spawn(async move {
        for version in (2..LAST).step_by(2) {
            writer.write(writer.draft().at(id, version).events(2).snapshot(version + 1, "state")).await;
        }
    });

    let mut version = Sequence::NONE;
    while version < Sequence::new(LAST) {
        let loaded = sample.load_one(with_snapshot(id, SnapshotUse::Any)).await.unwrap();
        let first = match loaded.snapshot {
            LoadedSnapshot::Found(snapshot) => snapshot.sequence.next().get(),
            LoadedSnapshot::None | LoadedSnapshot::Misfit => 1,
        };
        assert_eq!(sequences(&loaded.events), numbers(first, loaded.version.get()));
        assert!(
            loaded.version.get() == 2 || first == loaded.version.get(),
            "the snapshot is of the same commit"
        );
        version = loaded.version;
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}

pub(super) async fn those_of_a_type_come_once_page_by_page<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let ids: [AggregateId; 10] = sample.new_ids().await;
    // Every third is an order, every second has events.
    let draft = ids.iter().enumerate().fold(sample.draft(), |draft, (index, id)| {
        let type_id = if index % 3 == 0 { sample.types.order } else { sample.types.account };
        draft.create_of(type_id, *id).events(index % 2)
    });
    sample.write(draft).await;

    let accounts = [1, 2, 4, 5, 7, 8].map(|index| ids[index]);
    assert_eq!(pages(&sample, 1).await, accounts);
    assert_eq!(pages(&sample, 2).await, accounts);
    assert_eq!(pages(&sample, 6).await, accounts);
    assert_eq!(pages(&sample, 100).await, accounts);
    let last = sample.aggregate_ids(sample.types.account, Some(accounts[5]), 10).await.unwrap();
    assert_eq!(last, []);
}

async fn pages<E: StorageEngine>(sample: &Sample<E>, limit: u32) -> Vec<AggregateId> {
    let mut ids = Vec::new();
    loop {
        assert!(ids.is_sorted_by(|one, next| one < next), "ids come in their order, each once: {ids:?}");
        let page = sample.aggregate_ids(sample.types.account, ids.last().copied(), limit).await.unwrap();
        assert!(page.len() <= limit as usize, "a page has at most as many ids as the limit says");
        if page.is_empty() {
            return ids;
        }
        ids.extend(page);
    }
}

pub(super) async fn they_are_there_after_a_restart<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    let draft = sample.draft().create(id).key("kept").events(3).snapshot(2, "state");
    sample.write(draft.once("once", "receipt")).await;
    let before = sample.everything().await;
    sample.close().await.unwrap();

    let sample = Sample::open(&harness).await;
    assert_eq!(sample.everything().await, before);
    assert_eq!(sample.holder("kept").await, Some(id));
    sample.write(sample.draft().at(id, 3).event(|event| event.time = time(9))).await;
    assert_eq!(sample.version(id).await, 4);
}

pub(super) async fn events_after_a_sequence_are_those_with_higher_ones<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(5).await;
    for (after, expected) in [(0, numbers(1, 5)), (1, numbers(2, 5)), (4, vec![5]), (5, vec![]), (9, vec![])]
    {
        let loaded = sample.load_one(Load { after: Sequence::new(after), ..whole(id) }).await.unwrap();
        assert_eq!(sequences(&loaded.events), expected, "after {after}");
        assert_eq!(loaded.version, Sequence::new(5));
    }
}

pub(super) async fn with_a_limit_the_first_events_are_returned<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(5).await;
    for (after, limit, expected) in
        [(0, 1, vec![1]), (0, 3, numbers(1, 3)), (2, 2, vec![3, 4]), (3, 5, vec![4, 5])]
    {
        let load = Load { after: Sequence::new(after), limit, ..whole(id) };
        let loaded = sample.load_one(load).await.unwrap();
        assert_eq!(sequences(&loaded.events), expected, "{limit} after {after}");
        assert_eq!(loaded.version, Sequence::new(5), "the version is not affected");
    }
}

pub(super) async fn events_come_in_the_order_of_their_sequences<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let [left, right] = sample.new_ids().await;
    // Written in turns, so that the aggregates' events lie between each other's.
    let mut draft = sample.draft().create(left).create(right);
    for _ in 0..50 {
        draft = draft.again(right).events(1).again(left).events(2);
    }
    sample.write(draft).await;
    sample.write(sample.draft().at(right, 50).events(20).at(left, 100).events(1)).await;
    assert_eq!(sequences(&sample.whole(left).await.events), numbers(1, 101));
    assert_eq!(sequences(&sample.whole(right).await.events), numbers(1, 70));
    assert!(sample.whole(left).await.events.iter().all(|event| event.aggregate_id == left));
}
