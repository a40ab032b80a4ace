//! Who owns a subscription: claims, and the tokens that prove them.

use super::{
    Harness,
    fixtures::Sample,
    subscribers::{
        LEASE, NAME, SHORT_LEASE, assert_growing, at_once, changes, definition, next, owner_of, reset,
        taken_over_by,
    },
};
use crate::engine::{
    Claim, Fenced, FencingToken, StorageEngine, StoredSubscription, SubscriptionChange, SubscriptionEngine,
};

pub(super) async fn one_without_an_owner_is_claimed<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let defined = sample.defined(NAME).await;
    let owned = sample.claimed(NAME, "owner", LEASE).await;
    assert_eq!(owner_of(&owned).name, "owner");
    let (token, owner) = (owned.token, owned.owner.clone());
    assert_eq!(owned, StoredSubscription { token, owner, ..defined }, "nothing else changes");
    assert_eq!(sample.stored(NAME).await, owned);
}

pub(super) async fn one_that_somebody_else_holds_is_held<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let owned = sample.owned("owner").await;
    for (engine, claimer) in [(&sample, "other"), (&other, "other"), (&other, "Owner"), (&other, "owner ")] {
        let claim = engine.claim_subscription(NAME, claimer, SHORT_LEASE).await.unwrap();
        let Claim::Held { owner, remaining } = claim else { panic!("{claim:?}") };
        assert_eq!(owner, "owner");
        assert!(SHORT_LEASE < remaining && remaining <= LEASE, "{remaining:?} are left of {LEASE:?}");
    }
    assert_eq!(sample.stored(NAME).await, owned);
    sample.checkpoint(&next(&owned, 1)).await.unwrap();
}

pub(super) async fn one_that_this_owner_holds_is_claimed_again<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let first = sample.owned("owner").await;
    let second = sample.claimed(NAME, "owner", LEASE).await;
    assert_growing(&[first.token, second.token]);
    sample.assert_fenced(&first, &taken_over_by("owner")).await;
    sample.checkpoint(&next(&second, 1)).await.unwrap();
}

pub(super) async fn one_whose_lease_has_expired_is_taken_over<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    sample.defined(NAME).await;
    let before = sample.now().await;
    let first = sample.claimed(NAME, "first", SHORT_LEASE).await;
    let second = other.taken_over(NAME, "second", LEASE).await;

    let waited = other.now().await.micros() - before.micros();
    assert!(waited >= i64::try_from(SHORT_LEASE.as_micros()).unwrap(), "after {waited} µs it is too early");
    assert_eq!(owner_of(&second).name, "second");
    assert_growing(&[first.token, second.token]);
    sample.assert_fenced(&first, &taken_over_by("second")).await;
    other.checkpoint(&next(&second, 1)).await.unwrap();
}

pub(super) async fn the_remaining_time_of_a_lease_is_left_of_it<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.defined(NAME).await;
    sample.claimed(NAME, "first", SHORT_LEASE).await;
    loop {
        match sample.claim_subscription(NAME, "second", SHORT_LEASE).await.unwrap() {
            Claim::Held { remaining, .. } => {
                assert!(!remaining.is_zero() && remaining <= SHORT_LEASE, "{remaining:?}");
                tokio::task::yield_now().await;
            }
            claim => return assert!(matches!(claim, Claim::Claimed(_)), "{claim:?}"),
        }
    }
}

pub(super) async fn a_paused_one_is_not_claimed<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.owned("owner").await;
    let paused = sample.changed(&SubscriptionChange::Pause).await;
    for claimer in ["owner", "other"] {
        let claim = sample.claim_subscription(NAME, claimer, LEASE).await.unwrap();
        assert_eq!(claim, Claim::Paused);
    }
    assert_eq!(sample.stored(NAME).await, paused);
    sample.changed(&SubscriptionChange::Resume).await;
    sample.claimed(NAME, "other", LEASE).await;
}

pub(super) async fn one_that_is_not_there_is_unknown<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    assert_eq!(sample.claim_subscription(NAME, "owner", LEASE).await.unwrap(), Claim::Unknown);
    sample.defined(NAME).await;
    assert_eq!(sample.claim_subscription("Subscription", "owner", LEASE).await.unwrap(), Claim::Unknown);
    sample.changed(&SubscriptionChange::Delete).await;
    assert_eq!(sample.claim_subscription(NAME, "owner", LEASE).await.unwrap(), Claim::Unknown);
}

pub(super) async fn of_sixteen_claims_at_once_exactly_one_gets_it<H: Harness>(harness: H) {
    let engines = [Sample::open(&harness).await, Sample::open(&harness).await];
    for round in 0..5 {
        let name = format!("round {round}");
        engines[0].defined(&name).await;
        let winner = one_of_sixteen(&engines, &name).await;
        // The same when an expired lease is what they are after.
        engines[0].claimed(&name, &owner_of(&winner).name, SHORT_LEASE).await;
        engines[0].now_after(owner_of(&engines[0].stored(&name).await).expires_at).await;
        one_of_sixteen(&engines, &name).await;
    }
}

/// What the one of sixteen sees that gets the subscription; all others see that it has it.
async fn one_of_sixteen<E: StorageEngine>(engines: &[Sample<E>; 2], name: &str) -> StoredSubscription {
    let calls = engines.iter().cycle().take(16).cloned().enumerate().map(|(index, engine)| {
        let name = name.to_owned();
        async move { engine.claim_subscription(&name, &format!("owner {index}"), LEASE).await.unwrap() }
    });
    let claims = at_once(calls).await;
    let stored = engines[1].stored(name).await;
    let won = claims.iter().filter(|claim| matches!(claim, Claim::Claimed(won) if *won == stored)).count();
    let holder = &owner_of(&stored).name;
    let held =
        claims.iter().filter(|claim| matches!(claim, Claim::Held { owner, .. } if owner == holder)).count();
    assert_eq!((won, held), (1, 15), "{claims:?}");
    stored
}

pub(super) async fn tokens_grow_whatever_happens<H: Harness>(harness: H) {
    let engines = [Sample::open(&harness).await, Sample::open(&harness).await];
    let mut tokens = Vec::new();
    for (engine, change) in engines.iter().cycle().zip(changes()) {
        tokens.push(engine.define_subscription(&definition("beside")).await.unwrap().token);
        tokens.push(engine.claimed("beside", "owner", LEASE).await.token);
        let claimed = claim_and_release(engine).await;
        let changed = engine.changed(&change).await;
        tokens.push(claimed);
        if !matches!(change, SubscriptionChange::Delete | SubscriptionChange::Resume) {
            tokens.push(changed.token);
        }
        engine.change_subscription(NAME, &SubscriptionChange::Resume, None).await.unwrap();
        tokens.push(claim_and_release(engine).await);
        engine.change_subscription("beside", &SubscriptionChange::Delete, None).await.unwrap();
    }
    assert_growing(&tokens);
}

/// The token of a claim, when it has been given up.
async fn claim_and_release<E: StorageEngine>(sample: &Sample<E>) -> FencingToken {
    let token = sample.owned("owner").await.token;
    sample.release_subscription(NAME, token, None).await.unwrap();
    token
}

pub(super) async fn tokens_grow_over_a_restart<H: Harness>(harness: H) {
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let sample = Sample::open(&harness).await;
        tokens.push(sample.owned("owner").await.token);
        // Nothing is left from which the last token could be seen.
        sample.changed(&SubscriptionChange::Delete).await;
        sample.close().await.unwrap();
    }
    assert_growing(&tokens);
}

pub(super) async fn one_defined_anew_fences_the_owner_of_the_old_one<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let old = sample.owned("old").await;
    other.changed(&SubscriptionChange::Delete).await;
    sample.assert_fenced(&old, &Fenced::Deleted).await;

    let defined = other.defined(NAME).await;
    assert_growing(&[old.token, defined.token]);
    sample.assert_fenced(&old, &Fenced::Changed).await;
    let new = other.claimed(NAME, "new", LEASE).await;
    sample.assert_fenced(&old, &taken_over_by("new")).await;
    other.checkpoint(&next(&new, 1)).await.unwrap();
}

pub(super) async fn a_token_proves_nothing_without_a_claim<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let defined = sample.defined(NAME).await;
    sample.assert_fenced(&defined, &Fenced::Changed).await;
    let changed = sample.changed(&reset(5)).await;
    sample.assert_fenced(&changed, &Fenced::Changed).await;
    let paused = sample.changed(&SubscriptionChange::Pause).await;
    sample.assert_fenced(&paused, &Fenced::Paused).await;
    let resumed = sample.changed(&SubscriptionChange::Resume).await;
    sample.assert_fenced(&resumed, &Fenced::Changed).await;
}

pub(super) async fn a_token_proves_one_claim_only<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.defined("beside").await;
    let beside = sample.claimed("beside", "owner", LEASE).await;
    let owned = sample.owned("owner").await;
    let mixed = StoredSubscription { token: beside.token, ..owned.clone() };
    sample.assert_fenced(&mixed, &taken_over_by("owner")).await;
    sample.assert_fenced(&StoredSubscription { token: owned.token, ..beside }, &taken_over_by("owner")).await;
}

pub(super) async fn a_claim_forgets_the_failure<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    sample.release_subscription(NAME, owned.token, Some("it fails")).await.unwrap();
    assert_eq!(sample.claimed(NAME, "owner", LEASE).await.failure, None);
    assert_eq!(sample.stored(NAME).await.failure, None);
}
