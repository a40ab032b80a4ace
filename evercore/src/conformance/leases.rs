//! How long an owner is one: renewals and releases.

use std::time::Duration;

use super::{
    Harness,
    fixtures::Sample,
    subscribers::{LEASE, NAME, SHORT_LEASE, fenced, next, owner_of, renewal, taken_over_by},
};
use crate::engine::{Claim, Fenced, Renewal, StoredSubscription, SubscriptionChange, SubscriptionEngine};

pub(super) async fn a_renewed_one_lasts_from_now<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    for lease in [LEASE * 2, Duration::from_secs(60), LEASE] {
        let before = sample.now().await;
        let answers = sample.renew_leases(&[Renewal { lease, ..renewal(&owned) }]).await.unwrap();
        let after = sample.now().await;
        assert_eq!(answers, [None]);

        let stored = sample.stored(NAME).await;
        let renewed = owner_of(&stored).expires_at.micros() - i64::try_from(lease.as_micros()).unwrap();
        assert!(before.micros() <= renewed && renewed <= after.micros(), "{stored:?}");
        let owner = stored.owner.clone();
        assert_eq!(stored, StoredSubscription { owner, ..owned.clone() }, "nothing else changes");
    }
}

pub(super) async fn one_that_has_expired_is_renewed<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    sample.defined(NAME).await;
    let owned = sample.claimed(NAME, "owner", SHORT_LEASE).await;
    sample.now_after(owner_of(&owned).expires_at).await;
    assert_eq!(sample.renew_leases(&[renewal(&owned)]).await.unwrap(), [None]);

    let claim = other.claim_subscription(NAME, "other", LEASE).await.unwrap();
    assert!(matches!(claim, Claim::Held { .. }), "{claim:?}");
    sample.checkpoint(&next(&owned, 1)).await.unwrap();
}

pub(super) async fn one_that_was_taken_over_is_not_renewed<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.defined(NAME).await;
    let first = sample.claimed(NAME, "first", SHORT_LEASE).await;
    let second = sample.taken_over(NAME, "second", SHORT_LEASE).await;
    // Not even when the second one has expired too.
    sample.now_after(owner_of(&second).expires_at).await;
    assert_eq!(sample.renew_leases(&[renewal(&first)]).await.unwrap(), [Some(taken_over_by("second"))]);
    assert_eq!(sample.stored(NAME).await, second);
}

pub(super) async fn those_that_are_lost_do_not_keep_others_from_being_renewed<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    // Not in the order of their names.
    let names = ["good 1", "taken over", "deleted", "good 3", "paused", "changed", "released", "good 2"];
    let mut renewals = Vec::new();
    for name in names {
        sample.defined(name).await;
        renewals.push(renewal(&sample.claimed(name, "owner", Duration::from_secs(60)).await));
    }
    sample.claimed("taken over", "owner", SHORT_LEASE).await;
    sample.taken_over("taken over", "other", LEASE).await;
    let redefine = SubscriptionChange::Redefine { filter: "other".to_owned() };
    let changes = [
        ("deleted", SubscriptionChange::Delete),
        ("paused", SubscriptionChange::Pause),
        ("changed", redefine),
    ];
    for (name, change) in &changes {
        sample.change_subscription(name, change, None).await.unwrap();
    }
    sample.release_subscription("released", renewals[6].token, None).await.unwrap();
    let never_was = Renewal { name: "never defined".to_owned(), ..renewals[0].clone() };
    renewals.push(never_was);

    let before = sample.now().await;
    let answers = sample.renew_leases(&renewals).await.unwrap();
    let lost = [taken_over_by("other"), Fenced::Deleted, Fenced::Paused, Fenced::Changed].map(Some);
    let [taken_over, deleted, paused, changed] = lost;
    let expected =
        [None, taken_over, deleted.clone(), None, paused, changed.clone(), changed, None, deleted.clone()];
    assert_eq!(answers, expected);
    for name in ["good 1", "good 2", "good 3"] {
        let lasts = owner_of(&sample.stored(name).await).expires_at.micros() - before.micros();
        assert!(lasts >= i64::try_from(LEASE.as_micros()).unwrap(), "{name} is renewed");
    }
    for name in ["paused", "changed", "released"] {
        assert_eq!(sample.stored(name).await.owner, None, "{name} has no owner");
    }
}

pub(super) async fn hundreds_are_renewed_in_one_call<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    assert_eq!(sample.renew_leases(&[]).await.unwrap(), []);
    let mut renewals = Vec::new();
    for index in 0..300 {
        let name = format!("subscription {index}");
        sample.defined(&name).await;
        renewals.push(renewal(&sample.claimed(&name, "owner", SHORT_LEASE).await));
    }
    assert_eq!(sample.renew_leases(&renewals).await.unwrap(), vec![None; 300]);
    let list = sample.subscriptions(None).await.unwrap();
    let soon = list.now.micros() + i64::try_from(LEASE.as_micros() / 2).unwrap();
    assert!(list.subscriptions.iter().all(|one| owner_of(one).expires_at.micros() > soon));
}

pub(super) async fn a_released_one_is_claimed_at_once<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let owned = sample.owned("owner").await;
    sample.release_subscription(NAME, owned.token, None).await.unwrap();
    let stored = sample.stored(NAME).await;
    assert_eq!((&stored.owner, &stored.failure), (&None, &None));
    assert_eq!((stored.cursor, stored.paused), (owned.cursor, false));
    other.claimed(NAME, "other", LEASE).await;
}

pub(super) async fn after_a_release_the_token_is_worth_nothing<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    sample.release_subscription(NAME, owned.token, Some("it fails")).await.unwrap();
    sample.assert_fenced(&owned, &Fenced::Changed).await;
    assert_eq!(sample.stored(NAME).await.failure.as_deref(), Some("it fails"));
    sample.claimed(NAME, "other", LEASE).await;
    sample.assert_fenced(&owned, &taken_over_by("other")).await;
}

pub(super) async fn an_expired_one_is_released_as_long_as_nobody_took_it<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.defined(NAME).await;
    let first = sample.claimed(NAME, "first", SHORT_LEASE).await;
    sample.now_after(owner_of(&first).expires_at).await;
    sample.release_subscription(NAME, first.token, Some("too slow")).await.unwrap();
    assert_eq!(sample.stored(NAME).await.failure.as_deref(), Some("too slow"));

    let second = sample.claimed(NAME, "second", LEASE).await;
    let answer = sample.release_subscription(NAME, first.token, Some("again")).await;
    assert_eq!(fenced(answer), taken_over_by("second"));
    assert_eq!(sample.stored(NAME).await, second);
}
