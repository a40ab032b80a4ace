//! Events that were skipped, because they could not be handled.

use super::{
    Harness,
    fixtures::{AWKWARD_TEXTS, Sample, numbers},
    subscribers::{LEASE, NAME, at_once, errors, failed, moved, next, reset},
};
use crate::{
    Position,
    engine::{Checkpoint, StorageEngine, StoredSubscription, SubscriptionChange, SubscriptionEngine},
};

pub(super) async fn they_are_recorded_with_the_checkpoint<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let owned = sample.owned("owner").await;
    let before = sample.now().await;
    let failed = vec![failed(14, 5, "second"), failed(12, u32::MAX, "first")];
    sample.checkpoint(&Checkpoint { failed, ..next(&owned, 5) }).await.unwrap();
    let after = sample.now().await;

    let stored = other.all_failed(NAME).await;
    assert_eq!(errors(&stored), [(12, u32::MAX, "first"), (14, 5, "second")]);
    for one in &stored {
        assert!(before <= one.failed_at && one.failed_at <= after, "{one:?}");
    }
    assert_eq!(other.stored(NAME).await.cursor.get(), 15);
}

pub(super) async fn a_checkpoint_that_is_not_made_records_none<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    sample.checkpoint(&next(&owned, 5)).await.unwrap();
    let checkpoint = Checkpoint { failed: vec![failed(12, 1, "moved")], ..next(&owned, 6) };
    assert_eq!(moved(sample.checkpoint(&checkpoint).await), 15);
    assert_eq!(sample.all_failed(NAME).await, []);

    sample.claimed(NAME, "owner", LEASE).await;
    let from = Position::new(15);
    sample.checkpoint(&Checkpoint { from, ..checkpoint }).await.unwrap_err();
    assert_eq!(sample.all_failed(NAME).await, []);
}

pub(super) async fn one_that_was_recorded_before_is_replaced<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    let first = vec![failed(12, 7, "first"), failed(13, 1, "stays")];
    sample.checkpoint(&Checkpoint { failed: first, ..next(&owned, 5) }).await.unwrap();
    let before = sample.all_failed(NAME).await;
    let later = sample.now_after(before[0].failed_at).await;

    sample.changed(&reset(10)).await;
    let owned = sample.owned("owner").await;
    let second = vec![failed(12, 2, "second")];
    sample.checkpoint(&Checkpoint { failed: second, ..next(&owned, 5) }).await.unwrap();
    let stored = sample.all_failed(NAME).await;
    assert_eq!(errors(&stored), [(12, 2, "second"), (13, 1, "stays")]);
    assert!(stored[0].failed_at >= later);
    assert_eq!(stored[1], before[1]);
}

pub(super) async fn they_are_listed_page_by_page<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    // In the opposite order, and across several checkpoints.
    let many = (1..=1000).rev().map(|position| failed(position * 3, 1, "broken")).collect();
    sample.checkpoint(&Checkpoint { failed: many, ..next(&owned, 1) }).await.unwrap();
    let one = vec![failed(100, 1, "broken")];
    let owned = sample.stored(NAME).await;
    sample.checkpoint(&Checkpoint { failed: one, ..next(&owned, 1) }).await.unwrap();

    let mut expected: Vec<_> = numbers(1, 1000).into_iter().map(|number| number * 3).collect();
    expected.insert(33, 100);
    for limit in [7, 500, 1001, u32::MAX] {
        assert_eq!(listed(&sample, limit).await, expected, "pages of {limit}");
    }
}

/// The positions on all pages of `limit`.
async fn listed<E: StorageEngine>(sample: &Sample<E>, limit: u32) -> Vec<i64> {
    let (mut positions, mut after) = (Vec::new(), Position::START);
    loop {
        let page = sample.failed_deliveries(NAME, after, limit).await.unwrap();
        assert!(page.len() <= limit as usize, "a page has at most as many as the limit says");
        assert!(page.iter().all(|one| one.position > after), "a page goes on after the one before");
        let Some(last) = page.last() else { return positions };
        after = last.position;
        positions.extend(page.iter().map(|one| one.position.get()));
    }
}

pub(super) async fn each_subscription_has_its_own<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    for name in ["left", "right", "without"] {
        sample.defined(name).await;
        let owned = sample.claimed(name, "owner", LEASE).await;
        let failed = if name == "without" { vec![] } else { vec![failed(12, 1, name)] };
        sample.checkpoint(&Checkpoint { failed, ..next(&owned, 5) }).await.unwrap();
    }
    assert_eq!(errors(&sample.all_failed("left").await), [(12, 1, "left")]);
    assert_eq!(errors(&sample.all_failed("right").await), [(12, 1, "right")]);
    assert_eq!(sample.all_failed("without").await, []);
    assert_eq!(sample.all_failed("never defined").await, []);
}

pub(super) async fn texts_of_errors_come_back<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    let long = "\u{1d11e} long ".repeat(10_000);
    let texts: Vec<_> = AWKWARD_TEXTS.iter().copied().chain(["", &long]).collect();
    let failed = texts.iter().zip(1..).map(|(text, position)| failed(position, 1, text)).collect();
    sample.checkpoint(&Checkpoint { failed, ..next(&owned, 5) }).await.unwrap();
    let stored = sample.all_failed(NAME).await;
    assert_eq!(stored.iter().map(|one| one.error.as_str()).collect::<Vec<_>>(), texts);
}

pub(super) async fn a_dropped_one_is_gone_and_others_stay<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    recorded(&sample).await;
    sample.defined("beside").await;
    let beside = sample.claimed("beside", "owner", LEASE).await;
    let failed = vec![failed(12, 1, "beside")];
    sample.checkpoint(&Checkpoint { failed, ..next(&beside, 5) }).await.unwrap();

    let position = Position::new(12);
    assert!(other.drop_failed_delivery(NAME, position).await.unwrap());
    assert!(!sample.drop_failed_delivery(NAME, position).await.unwrap(), "it is gone");
    assert!(!sample.drop_failed_delivery(NAME, Position::new(11)).await.unwrap(), "it never was");
    assert!(!sample.drop_failed_delivery("never defined", position).await.unwrap());
    assert_eq!(errors(&sample.all_failed(NAME).await), [(13, 1, "broken")]);
    assert_eq!(errors(&sample.all_failed("beside").await), [(12, 1, "beside")]);
}

pub(super) async fn of_many_who_drop_one_at_once_one_did<H: Harness>(harness: H) {
    let engines = [Sample::open(&harness).await, Sample::open(&harness).await];
    recorded(&engines[0]).await;
    let calls = engines
        .iter()
        .cycle()
        .take(8)
        .cloned()
        .map(|engine| async move { engine.drop_failed_delivery(NAME, Position::new(12)).await.unwrap() });
    let dropped = at_once(calls).await;
    assert_eq!(dropped.iter().filter(|&&dropped| dropped).count(), 1);
}

pub(super) async fn they_go_with_their_subscription_and_not_before<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    recorded(&sample).await;
    let before = sample.all_failed(NAME).await;
    let redefine = SubscriptionChange::Redefine { filter: "other".to_owned() };
    for change in [reset(0), redefine, SubscriptionChange::Pause, SubscriptionChange::Resume] {
        sample.changed(&change).await;
        assert_eq!(sample.all_failed(NAME).await, before, "after {change:?}");
    }
    sample.changed(&SubscriptionChange::Delete).await;
    assert_eq!(sample.all_failed(NAME).await, []);
    sample.defined(NAME).await;
    assert_eq!(sample.all_failed(NAME).await, []);
}

/// The subscription [`NAME`] with failed deliveries at 12 and 13.
async fn recorded<E: StorageEngine>(sample: &Sample<E>) -> StoredSubscription {
    let owned = sample.owned("owner").await;
    let failed = vec![failed(12, 1, "broken"), failed(13, 1, "broken")];
    sample.checkpoint(&Checkpoint { failed, ..next(&owned, 5) }).await.unwrap();
    sample.stored(NAME).await
}
