//! Cursors move, with the current token and from where they are.

use super::{
    Harness,
    fixtures::Sample,
    subscribers::{
        LEASE, NAME, SHORT_LEASE, at_once, event, failed, moved, next, owner_of, reset, taken_over_by,
    },
};
use crate::{
    Position,
    engine::{
        Checkpoint, Fenced, OwnerError, StorageEngine, StoredSubscription, SubscriptionChange,
        SubscriptionEngine,
    },
};

pub(super) async fn the_cursor_moves<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let owned = sample.owned("owner").await;
    sample.checkpoint(&next(&owned, 5)).await.unwrap();
    let stored = other.stored(NAME).await;
    let expected = StoredSubscription {
        cursor: Position::new(15),
        anchor: Some(event(15)),
        moved_at: stored.moved_at,
        ..owned
    };
    assert_eq!(stored, expected, "nothing else changes");
    sample.checkpoint(&next(&stored, 1_000_000)).await.unwrap();
    assert_eq!(other.stored(NAME).await.cursor.get(), 1_000_015);
}

pub(super) async fn without_an_anchor_the_stored_one_stays<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    sample.checkpoint(&Checkpoint { anchor: None, ..next(&owned, 1) }).await.unwrap();
    assert_eq!(sample.stored(NAME).await.anchor, None);
    sample.checkpoint(&next(&sample.stored(NAME).await, 1)).await.unwrap();
    sample.checkpoint(&Checkpoint { anchor: None, ..next(&sample.stored(NAME).await, 1) }).await.unwrap();
    let stored = sample.stored(NAME).await;
    assert_eq!((stored.cursor.get(), stored.anchor), (13, Some(event(12))));
}

pub(super) async fn from_elsewhere_it_does_not_move<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    sample.checkpoint(&next(&owned, 5)).await.unwrap();
    let before = sample.all_subscriptions().await;
    for from in [0, 10, 14, 16, i64::MAX / 2] {
        let owned = StoredSubscription { cursor: Position::new(from), ..owned.clone() };
        let checkpoint = Checkpoint { failed: vec![failed(12, 1, "moved")], ..next(&owned, 1) };
        assert_eq!(moved(sample.checkpoint(&checkpoint).await), 15);
    }
    assert_eq!(sample.all_subscriptions().await, before);
}

pub(super) async fn one_that_was_in_doubt_is_made_once<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let owned = sample.owned("owner").await;
    let checkpoint = Checkpoint { failed: vec![failed(12, 1, "broken")], ..next(&owned, 5) };
    sample.checkpoint(&checkpoint).await.unwrap();
    let before = sample.all_subscriptions().await;
    for engine in [&sample, &other] {
        assert_eq!(moved(engine.checkpoint(&checkpoint).await), 15);
    }
    assert_eq!(sample.all_subscriptions().await, before);
}

pub(super) async fn of_sixteen_at_once_from_one_position_one_is_made<H: Harness>(harness: H) {
    let engines = [Sample::open(&harness).await, Sample::open(&harness).await];
    engines[0].owned("owner").await;
    for _ in 0..5 {
        let owned = engines[0].stored(NAME).await;
        let calls = engines.iter().cycle().take(16).cloned().zip(1..).map(|(engine, positions)| {
            let checkpoint = next(&owned, positions);
            async move { (checkpoint.to, engine.checkpoint(&checkpoint).await) }
        });
        let answers = at_once(calls).await;
        let cursor = engines[1].stored(NAME).await.cursor;
        for (to, answer) in answers {
            match answer {
                Ok(()) => assert_eq!(to, cursor, "one of them is made"),
                refused => assert_eq!(moved(refused), cursor.get(), "all others find it moved"),
            }
        }
        assert_ne!(cursor, owned.cursor);
    }
}

pub(super) async fn with_an_expired_lease_that_nobody_took_it_is_made<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.defined(NAME).await;
    let owned = sample.claimed(NAME, "owner", SHORT_LEASE).await;
    sample.now_after(owner_of(&owned).expires_at).await;
    sample.checkpoint(&next(&owned, 1)).await.unwrap();
    let stored = sample.stored(NAME).await;
    assert_eq!((stored.cursor.get(), &stored.owner), (11, &owned.owner), "it is not renewed by that");
}

pub(super) async fn after_a_take_over_it_is_fenced<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    sample.defined(NAME).await;
    let first = sample.claimed(NAME, "first", SHORT_LEASE).await;
    let second = other.taken_over(NAME, "second", LEASE).await;
    sample.assert_fenced(&first, &taken_over_by("second")).await;
    // Wherever the cursor is: who is fenced is told so, and not that the cursor moved.
    other.checkpoint(&next(&second, 5)).await.unwrap();
    sample.assert_fenced(&first, &taken_over_by("second")).await;
}

pub(super) async fn after_a_pause_it_is_fenced<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let owned = sample.owned("owner").await;
    other.changed(&SubscriptionChange::Pause).await;
    sample.assert_fenced(&owned, &Fenced::Paused).await;
    other.changed(&SubscriptionChange::Resume).await;
    sample.assert_fenced(&owned, &Fenced::Changed).await;
}

pub(super) async fn after_a_reset_or_another_filter_it_is_fenced<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    // To where it is already, too.
    let redefine = SubscriptionChange::Redefine { filter: "a filter".to_owned() };
    for change in [reset(5), reset(50), reset(50), redefine.clone(), redefine] {
        let owned = sample.owned("owner").await;
        other.changed(&change).await;
        sample.assert_fenced(&owned, &Fenced::Changed).await;
    }
}

pub(super) async fn after_a_deletion_it_is_fenced<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let owned = sample.owned("owner").await;
    other.changed(&SubscriptionChange::Delete).await;
    sample.assert_fenced(&owned, &Fenced::Deleted).await;
    assert_eq!(sample.all_subscriptions().await, []);
}

pub(super) async fn after_a_reset_no_earlier_owner_moves_it<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    for round in 0..10 {
        let owned = sample.owned("owner").await;
        let from = owned.cursor;
        let owner = tokio::spawn(move_until_fenced(sample.clone(), owned));
        while other.stored(NAME).await.cursor == from {
            tokio::task::yield_now().await;
        }
        let changed = other.changed(&reset(round)).await;
        assert_eq!(owner.await.unwrap(), Fenced::Changed);
        assert_eq!(changed.cursor.get(), round);
        assert_eq!(other.stored(NAME).await, changed);
    }
}

/// Makes checkpoints for as long as it may, and says why it may no more.
async fn move_until_fenced<E: StorageEngine>(sample: Sample<E>, mut owned: StoredSubscription) -> Fenced {
    loop {
        let checkpoint = next(&owned, 1);
        match sample.checkpoint(&checkpoint).await {
            Ok(()) => owned.cursor = checkpoint.to,
            Err(OwnerError::Fenced(reason)) => return reason,
            Err(error) => panic!("{error:?}"),
        }
        tokio::task::yield_now().await;
    }
}
