//! Checkpoints in transactions of the caller.

use super::{
    Harness,
    fixtures::{Sample, sequences},
    subscribers::{LEASE, NAME, at_once, errors, event, failed, fenced, moved, next, reset, taken_over_by},
};
use crate::{
    AggregateId, Position,
    engine::{
        Checkpoint, Fenced, OwnerError, StoredSubscription, SubscriptionChange, SubscriptionEngine,
        TransactionalEngine,
    },
};

pub(super) async fn what_is_finished_has_moved<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let owned = sample.owned("owner").await;
    let checkpoint = Checkpoint { failed: vec![failed(12, 3, "broken")], ..next(&owned, 5) };
    let mut transaction = sample.begin().await.unwrap();
    sample.checkpoint_in(&checkpoint, &mut transaction).await.unwrap();
    assert_eq!(other.all_subscriptions().await, [(owned.clone(), vec![])], "nobody sees it before");
    sample.finish(transaction).await.unwrap();

    let stored = other.stored(NAME).await;
    assert_eq!((stored.cursor.get(), stored.anchor), (15, Some(event(15))));
    assert_eq!((&stored.owner, stored.token), (&owned.owner, owned.token));
    assert_eq!(errors(&other.all_failed(NAME).await), [(12, 3, "broken")]);
}

pub(super) async fn what_is_rolled_back_is_where_it_was<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    let checkpoint = Checkpoint { failed: vec![failed(12, 3, "broken")], ..next(&owned, 5) };
    let mut transaction = sample.begin().await.unwrap();
    sample.checkpoint_in(&checkpoint, &mut transaction).await.unwrap();
    drop(transaction);

    assert_eq!(sample.all_subscriptions().await, [(owned, vec![])]);
    // The next one finds nothing in its way.
    sample.checkpoint(&checkpoint).await.unwrap();
    assert_eq!(sample.stored(NAME).await.cursor.get(), 15);
}

pub(super) async fn several_share_a_transaction<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let sample = Sample::open(&harness).await;
    let mut owned = sample.owned("owner").await;
    let mut transaction = sample.begin().await.unwrap();
    for _ in 0..3 {
        let checkpoint = next(&owned, 5);
        sample.checkpoint_in(&checkpoint, &mut transaction).await.unwrap();
        owned.cursor = checkpoint.to;
    }
    sample.finish(transaction).await.unwrap();
    let stored = sample.stored(NAME).await;
    assert_eq!((stored.cursor.get(), stored.anchor), (25, Some(event(25))));
}

pub(super) async fn from_elsewhere_it_does_not_move<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    let checkpoint = Checkpoint { failed: vec![failed(12, 3, "broken")], ..next(&owned, 5) };
    sample.checkpoint(&checkpoint).await.unwrap();
    let before = sample.all_subscriptions().await;
    for from in [10, 14, 16] {
        let checkpoint =
            Checkpoint { from: Position::new(from), to: Position::new(20), ..checkpoint.clone() };
        assert_eq!(moved(refused(&sample, &checkpoint).await), 15);
    }
    assert_eq!(sample.all_subscriptions().await, before);
}

pub(super) async fn one_that_is_fenced_moves_nothing<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let sample = Sample::open(&harness).await;
    let redefine = SubscriptionChange::Redefine { filter: "other".to_owned() };
    let changes = [
        (reset(10), Fenced::Changed),
        (redefine, Fenced::Changed),
        (SubscriptionChange::Pause, Fenced::Paused),
        (SubscriptionChange::Delete, Fenced::Deleted),
    ];
    for (change, reason) in changes {
        let owned = sample.owned("owner").await;
        sample.changed(&change).await;
        assert_refused(&sample, &owned, &reason).await;
        sample.change_subscription(NAME, &SubscriptionChange::Delete, None).await.unwrap();
    }
    let first = sample.owned("first").await;
    sample.release_subscription(NAME, first.token, None).await.unwrap();
    assert_refused(&sample, &first, &Fenced::Changed).await;
    sample.claimed(NAME, "second", LEASE).await;
    assert_refused(&sample, &first, &taken_over_by("second")).await;
}

async fn assert_refused<E: TransactionalEngine>(
    sample: &Sample<E>,
    former: &StoredSubscription,
    reason: &Fenced,
) {
    let before = sample.all_subscriptions().await;
    let checkpoint = Checkpoint { failed: vec![failed(12, 3, "fenced")], ..next(former, 5) };
    assert_eq!(&fenced(refused(sample, &checkpoint).await), reason);
    assert_eq!(sample.all_subscriptions().await, before);
}

/// The answer to a checkpoint in a transaction that is rolled back then.
async fn refused<E: TransactionalEngine>(
    sample: &Sample<E>,
    checkpoint: &Checkpoint,
) -> Result<(), OwnerError> {
    let mut transaction = sample.begin().await.unwrap();
    sample.checkpoint_in(checkpoint, &mut transaction).await
}

pub(super) async fn with_a_commit_it_is_all_or_nothing<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(1).await;
    let owned = sample.owned("owner").await;
    let changes = sample.draft().at(id, 1).events(2).changes();

    let mut transaction = sample.begin().await.unwrap();
    sample.commit_in(&changes, &mut transaction).await.unwrap();
    sample.checkpoint_in(&next(&owned, 5), &mut transaction).await.unwrap();
    drop(transaction);
    let mut transaction = sample.begin().await.unwrap();
    sample.commit_in(&changes, &mut transaction).await.unwrap();
    let elsewhere = Checkpoint { from: Position::new(11), ..next(&owned, 5) };
    assert_eq!(moved(sample.checkpoint_in(&elsewhere, &mut transaction).await), 10);
    drop(transaction);
    assert_eq!((sample.version(id).await, sample.stored(NAME).await), (1, owned.clone()));

    // In this order and in the other one.
    let mut transaction = sample.begin().await.unwrap();
    sample.checkpoint_in(&next(&owned, 5), &mut transaction).await.unwrap();
    sample.commit_in(&changes, &mut transaction).await.unwrap();
    let owned = StoredSubscription { cursor: Position::new(15), ..owned };
    sample.checkpoint_in(&next(&owned, 5), &mut transaction).await.unwrap();
    sample.finish(transaction).await.unwrap();
    assert_eq!(sequences(&sample.whole(id).await.events), [1, 2, 3]);
    assert_eq!(sample.stored(NAME).await.cursor.get(), 20);
}

pub(super) async fn of_two_from_one_position_at_most_one_commits<H: Harness<Engine: TransactionalEngine>>(
    harness: H,
) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    sample.owned("owner").await;
    for round in 1..=10 {
        let owned = sample.stored(NAME).await;
        let ids: [AggregateId; 5] = sample.new_ids().await;
        let calls = [&sample, &other, &sample, &other].into_iter().zip(ids).map(|(engine, id)| {
            let (engine, checkpoint) = (engine.clone(), next(&owned, 5));
            async move { deliver(&engine, &checkpoint, id).await }
        });
        let delivered = at_once(calls).await.into_iter().filter(|delivered| *delivered).count();
        assert!(delivered <= 1, "{delivered} have delivered the same events");
        // One that is alone gets through.
        if delivered == 0 {
            assert!(deliver(&sample, &next(&owned, 5), ids[4]).await);
        }
        assert_eq!(sample.stored(NAME).await.cursor.get(), owned.cursor.get() + 5);
        assert_eq!(sample.log().await.len(), round, "what is written with the cursor is there once");
    }
}

/// Whether a transaction was committed in which the cursor moved and something else was written.
async fn deliver<E: TransactionalEngine>(
    sample: &Sample<E>,
    checkpoint: &Checkpoint,
    id: AggregateId,
) -> bool {
    let Ok(mut transaction) = sample.begin().await else { return false };
    let changes = sample.draft().create(id).events(1).changes();
    if sample.commit_in(&changes, &mut transaction).await.is_err() {
        return false;
    }
    match sample.checkpoint_in(checkpoint, &mut transaction).await {
        Ok(()) => sample.finish(transaction).await.is_ok(),
        Err(OwnerError::Fenced(reason)) => panic!("nobody took it away, but: {reason:?}"),
        Err(_) => false,
    }
}

pub(super) async fn a_change_from_outside_comes_before_or_after_it<
    H: Harness<Engine: TransactionalEngine>,
>(
    harness: H,
) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    for round in 0..10 {
        let owned = sample.owned("owner").await;
        let mut transaction = sample.begin().await.unwrap();
        sample.checkpoint_in(&next(&owned, 5), &mut transaction).await.unwrap();
        let changer = other.clone();
        let change = tokio::spawn(async move { changer.changed(&reset(round)).await });
        tokio::task::yield_now().await;
        // It may be the one that fails. What must not be is a cursor that moves after the reset.
        let _ = sample.finish(transaction).await;
        let changed = change.await.unwrap();
        assert_eq!(sample.stored(NAME).await, changed);
        assert_eq!((changed.cursor.get(), changed.anchor), (round, None));
        sample.assert_fenced(&owned, &Fenced::Changed).await;
    }
}
