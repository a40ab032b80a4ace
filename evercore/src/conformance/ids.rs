//! Ids for new aggregates.

use std::{collections::HashSet, sync::Arc};

use super::{
    Harness,
    fixtures::{Sample, whole},
};
use crate::{
    AggregateId,
    engine::{IdBlock, StorageEngine},
};

pub(super) async fn ids_are_at_least_1_and_grow<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let mut last = 0;
    for count in [1, 7, 1, 1000, 2] {
        let block = engine.reserve_ids(count).await.unwrap();
        assert_eq!(block.count, count);
        assert!(block.first.get() > last, "{block:?} begins after {last}");
        last = block.first.get() + i64::from(count) - 1;
    }
}

pub(super) async fn no_id_is_handed_out_twice<H: Harness>(harness: H) {
    let engines = [Arc::new(harness.open().await), Arc::new(harness.open().await)];
    let callers: Vec<_> = (1..=32_u32)
        .zip(engines.iter().cycle())
        .map(|(count, engine)| {
            let engine = Arc::clone(engine);
            tokio::spawn(async move { engine.reserve_ids(count).await.unwrap() })
        })
        .collect();
    let mut seen = HashSet::new();
    for caller in callers {
        for id in ids(caller.await.unwrap()) {
            assert!(seen.insert(id), "{id} was handed out twice");
        }
    }
}

pub(super) async fn no_id_is_handed_out_twice_over_a_restart<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let before = engine.reserve_ids(10).await.unwrap();
    engine.close().await.unwrap();
    let after = harness.open().await.reserve_ids(1).await.unwrap();
    assert!(after.first.get() >= before.first.get() + 10, "{after:?} comes after {before:?}");
}

pub(super) async fn reserving_creates_no_aggregate<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    assert_eq!(sample.load_one(whole(id)).await, None);
    assert_eq!(sample.aggregate_ids(sample.types.account, None, 10).await.unwrap(), []);
}

fn ids(block: IdBlock) -> impl Iterator<Item = AggregateId> {
    (0..i64::from(block.count)).map(move |offset| AggregateId::new(block.first.get() + offset))
}
