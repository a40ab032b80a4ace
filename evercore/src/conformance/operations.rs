//! Changes to subscriptions: from outside, and by their owners.

use super::{
    Harness,
    fixtures::Sample,
    subscribers::{
        LEASE, NAME, assert_growing, changes, event, failed, fenced, next, owner_of, reset, taken_over_by,
    },
};
use crate::{
    Position,
    engine::{
        Checkpoint, Claim, Fenced, StorageEngine, StoredSubscription, SubscriptionChange, SubscriptionEngine,
    },
};

pub(super) async fn one_that_is_not_there_does_not_change<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let beside = sample.owned("owner").await;
    for change in changes() {
        let answer = sample.change_subscription("never defined", &change, None).await.unwrap();
        assert_eq!(answer, None, "{change:?}");
        let answer = sample.change_subscription("never defined", &change, Some(beside.token)).await;
        assert_eq!(fenced(answer), Fenced::Deleted, "{change:?}");
    }
    assert_eq!(sample.all_subscriptions().await, [(beside, vec![])]);
}

pub(super) async fn every_change_from_outside_takes_it_away<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    for change in changes().into_iter().filter(|change| *change != SubscriptionChange::Resume) {
        let owned = moved_once(&sample).await;
        let changed = other.changed(&change).await;
        if change == SubscriptionChange::Delete {
            sample.assert_fenced(&owned, &Fenced::Deleted).await;
            continue;
        }
        assert_growing(&[owned.token, changed.token]);
        assert_eq!(changed.owner, None, "{change:?}");
        assert_eq!(sample.stored(NAME).await, changed);
        let reason = if changed.paused { Fenced::Paused } else { Fenced::Changed };
        sample.assert_fenced(&owned, &reason).await;
        sample.changed(&SubscriptionChange::Delete).await;
    }
}

pub(super) async fn a_paused_one_has_no_owner_until_it_is_resumed<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = moved_once(&sample).await;
    let paused = sample.changed(&SubscriptionChange::Pause).await;
    let token = paused.token;
    let expected = StoredSubscription { paused: true, owner: None, token, ..owned };
    assert_eq!(paused, expected, "nothing else changes");
    assert!(sample.changed(&SubscriptionChange::Pause).await.paused, "twice is fine");

    let resumed = sample.changed(&SubscriptionChange::Resume).await;
    let token = resumed.token;
    assert_eq!(resumed, StoredSubscription { paused: false, token, ..expected });
    sample.claimed(NAME, "owner", LEASE).await;
}

pub(super) async fn a_resume_does_nothing_to_one_that_is_not_paused<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = moved_once(&sample).await;
    assert_eq!(sample.changed(&SubscriptionChange::Resume).await, owned);
    assert_eq!(sample.stored(NAME).await, owned);
    sample.checkpoint(&next(&owned, 1)).await.unwrap();
}

pub(super) async fn another_filter_leaves_the_cursor_where_it_is<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = moved_once(&sample).await;
    sample.release_subscription(NAME, owned.token, Some("it fails")).await.unwrap();
    let before = sample.stored(NAME).await;
    let filter = "another filter".to_owned();
    let changed = sample.changed(&SubscriptionChange::Redefine { filter: filter.clone() }).await;
    assert_eq!(changed, StoredSubscription { filter, token: changed.token, ..before });
    assert_eq!(sample.stored(NAME).await, changed);
}

pub(super) async fn a_reset_sets_the_cursor_and_forgets_anchor_and_failure<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    for (cursor, filter) in [(0, None), (99, Some("another filter")), (15, None)] {
        let owned = moved_once(&sample).await;
        sample.release_subscription(NAME, owned.token, Some("it fails")).await.unwrap();
        let before = sample.stored(NAME).await;
        assert_eq!((before.anchor, before.failure.as_deref()), (Some(event(15)), Some("it fails")));

        let later = sample.now_after(before.moved_at).await;
        let new_filter = filter.map(str::to_owned);
        let reset = SubscriptionChange::Reset { cursor: Position::new(cursor), filter: new_filter };
        let changed = sample.changed(&reset).await;
        assert!(changed.moved_at >= later, "it is set, also to where it is");
        let expected = StoredSubscription {
            cursor: Position::new(cursor),
            filter: filter.unwrap_or(&before.filter).to_owned(),
            anchor: None,
            failure: None,
            token: changed.token,
            moved_at: changed.moved_at,
            ..before
        };
        assert_eq!(changed, expected);
        assert_eq!(sample.stored(NAME).await, expected);
        sample.changed(&SubscriptionChange::Delete).await;
    }
}

pub(super) async fn pauses_stay_over_other_changes<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.defined(NAME).await;
    sample.changed(&SubscriptionChange::Pause).await;
    for change in [reset(5), SubscriptionChange::Redefine { filter: "other".to_owned() }] {
        assert!(sample.changed(&change).await.paused, "{change:?}");
        assert_eq!(sample.claim_subscription(NAME, "owner", LEASE).await.unwrap(), Claim::Paused);
    }
}

pub(super) async fn with_its_token_an_owner_makes_changes_and_stays_it<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let keeping = changes();
    for change in &keeping[1..5] {
        let owned = moved_once(&sample).await;
        let token = Some(owned.token);
        let changed = sample.change_subscription(NAME, change, token).await.unwrap().unwrap();
        assert_eq!((&changed.owner, changed.token), (&owned.owner, owned.token), "{change:?}");
        if *change != SubscriptionChange::Resume {
            assert_ne!(changed, owned, "{change:?} is made");
        }
        assert_eq!(other.stored(NAME).await, changed);
        sample.checkpoint(&next(&changed, 1)).await.unwrap();
        sample.changed(&SubscriptionChange::Delete).await;
    }
}

pub(super) async fn an_owner_that_pauses_or_deletes_it_is_it_no_more<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = moved_once(&sample).await;
    let pause = sample.change_subscription(NAME, &SubscriptionChange::Pause, Some(owned.token)).await;
    let paused = pause.unwrap().unwrap();
    assert_eq!((paused.paused, &paused.owner), (true, &None));
    sample.assert_fenced(&owned, &Fenced::Paused).await;

    sample.changed(&SubscriptionChange::Resume).await;
    let owned = sample.claimed(NAME, "owner", LEASE).await;
    let delete = sample.change_subscription(NAME, &SubscriptionChange::Delete, Some(owned.token)).await;
    assert!(delete.unwrap().is_some());
    sample.assert_fenced(&owned, &Fenced::Deleted).await;
}

pub(super) async fn with_an_old_token_nothing_changes<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let first = moved_once(&sample).await;
    sample.release_subscription(NAME, first.token, None).await.unwrap();
    sample.assert_fenced(&first, &Fenced::Changed).await;
    let second = sample.claimed(NAME, "second", LEASE).await;
    sample.assert_fenced(&first, &taken_over_by("second")).await;
    assert_eq!(sample.stored(NAME).await, second);
}

pub(super) async fn a_deleted_one_is_gone<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let beside = sample.defined("beside").await;
    let owned = moved_once(&sample).await;
    let deleted = sample.changed(&SubscriptionChange::Delete).await;
    assert_eq!((&deleted.filter, deleted.cursor), (&owned.filter, owned.cursor), "it is told how it was");
    assert_eq!(deleted.anchor, Some(event(15)));
    assert_eq!(other.all_subscriptions().await, [(beside, vec![])]);
    assert_eq!(other.all_failed(NAME).await, []);
    let again = other.change_subscription(NAME, &SubscriptionChange::Delete, None).await.unwrap();
    assert_eq!(again, None);

    let new = other.defined(NAME).await;
    assert_eq!((new.cursor.get(), &new.anchor, &new.owner), (10, &None, &None), "nothing is left of it");
    assert_growing(&[owned.token, new.token]);
}

/// The subscription [`NAME`] with an owner, an anchor and a failed delivery, at 15.
async fn moved_once<E: StorageEngine>(sample: &Sample<E>) -> StoredSubscription {
    let owned = sample.owned("owner").await;
    let failed = vec![failed(12, 1, "broken")];
    sample.checkpoint(&Checkpoint { failed, ..next(&owned, 5) }).await.unwrap();
    let stored = sample.stored(NAME).await;
    assert_eq!(owner_of(&stored).name, "owner");
    stored
}
