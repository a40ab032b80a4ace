//! What is defined as a subscription, and what is said of it.

use super::{
    Harness,
    fixtures::{AWKWARD_TEXTS, Sample},
    subscribers::{LEASE, NAME, START, at_once, definition, event, failed, next, owner_of},
};
use crate::{
    Position,
    engine::{Checkpoint, NewSubscription, StorageEngine, SubscriptionChange, SubscriptionEngine},
};

pub(super) async fn a_new_store_has_none<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    assert_eq!(sample.all_subscriptions().await, []);
    assert_eq!(sample.subscriptions(Some(NAME)).await.unwrap().subscriptions, []);
}

pub(super) async fn a_new_one_is_as_it_was_given<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    for cursor in [Position::START, START, Position::new(i64::MAX)] {
        let name = format!("from {cursor}");
        let new = NewSubscription { name: name.clone(), filter: format!("filter {cursor}"), cursor };
        let defined = sample.define_subscription(&new).await.unwrap();
        assert_eq!((&defined.name, &defined.filter, defined.cursor), (&new.name, &new.filter, cursor));
        assert_eq!((&defined.anchor, &defined.failure, &defined.owner), (&None, &None, &None));
        assert!(!defined.paused);
        assert_eq!(other.stored(&name).await, defined);
    }
}

pub(super) async fn one_that_is_there_stays_as_it_is<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let defined = sample.defined(NAME).await;
    let again = NewSubscription { filter: "other".to_owned(), cursor: Position::START, ..definition(NAME) };
    assert_eq!(sample.define_subscription(&again).await.unwrap(), defined);

    let owned = sample.claimed(NAME, "owner", LEASE).await;
    let failed = vec![failed(11, 3, "broken")];
    sample.checkpoint(&Checkpoint { failed, ..next(&owned, 5) }).await.unwrap();
    let before = sample.all_subscriptions().await;
    assert_eq!(sample.define_subscription(&again).await.unwrap(), before[0].0);
    assert_eq!(sample.all_subscriptions().await, before);
}

pub(super) async fn of_many_who_define_it_at_once_all_get_the_same<H: Harness>(harness: H) {
    let engines = [Sample::open(&harness).await, Sample::open(&harness).await];
    for round in 0..5 {
        let name = format!("round {round}");
        let calls = engines.iter().cycle().take(16).cloned().enumerate().map(|(index, engine)| {
            let cursor = Position::new(index as i64);
            let new = NewSubscription { name: name.clone(), filter: format!("filter {index}"), cursor };
            async move { engine.define_subscription(&new).await.unwrap() }
        });
        let answers = at_once(calls).await;
        let stored = engines[0].stored(&name).await;
        assert_eq!(stored.filter, format!("filter {}", stored.cursor), "it is as one of them defined it");
        assert!(answers.iter().all(|answer| *answer == stored), "{answers:?}");
    }
}

pub(super) async fn names_differ_when_one_byte_differs<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    for (index, name) in AWKWARD_TEXTS.iter().enumerate() {
        let cursor = Position::new(index as i64);
        sample.define_subscription(&NewSubscription { cursor, ..definition(name) }).await.unwrap();
    }
    for (index, name) in AWKWARD_TEXTS.iter().enumerate() {
        let owned = sample.claimed(name, "owner", LEASE).await;
        assert_eq!((owned.name.as_str(), owned.cursor.get()), (*name, index as i64));
        let failed = vec![failed(1, 1, name)];
        sample.checkpoint(&Checkpoint { failed, ..next(&owned, 1000) }).await.unwrap();
    }
    for (index, name) in AWKWARD_TEXTS.iter().enumerate() {
        let stored = sample.stored(name).await;
        assert_eq!((stored.name.as_str(), stored.cursor.get()), (*name, index as i64 + 1000));
        assert_eq!(sample.all_failed(name).await[0].error, *name);
    }
}

pub(super) async fn names_of_255_bytes_are_kept<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    for longest in ["k".repeat(255), "\u{20ac}".repeat(85)] {
        sample.defined(&longest).await;
        let owned = sample.claimed(&longest, &longest, LEASE).await;
        assert_eq!((&owned.name, &owner_of(&owned).name), (&longest, &longest));
        sample.checkpoint(&next(&owned, 1)).await.unwrap();
        assert_eq!(sample.stored(&longest).await.cursor.get(), START.get() + 1);
    }
}

pub(super) async fn texts_come_back_as_they_were<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let long = "\u{1d11e} long ".repeat(10_000);
    for (index, text) in AWKWARD_TEXTS.iter().copied().chain(["", &long]).enumerate() {
        let name = format!("subscription {index}");
        let new = NewSubscription { filter: text.to_owned(), ..definition(&name) };
        let defined = sample.define_subscription(&new).await.unwrap();
        let owner = if text.len() > 255 || text.is_empty() { "owner" } else { text };
        let owned = sample.claimed(&name, owner, LEASE).await;
        sample.release_subscription(&name, owned.token, Some(text)).await.unwrap();
        let stored = sample.stored(&name).await;
        assert_eq!((defined.filter.as_str(), stored.filter.as_str()), (text, text));
        assert_eq!((stored.failure.as_deref(), owner_of(&owned).name.as_str()), (Some(text), owner));
    }
}

pub(super) async fn they_are_listed_in_the_order_of_their_names<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let mut names = AWKWARD_TEXTS.to_vec();
    for name in &names {
        sample.defined(name).await;
    }
    let listed = sample.subscriptions(None).await.unwrap().subscriptions;
    names.sort_unstable();
    assert_eq!(listed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), names);
    for name in names {
        let stored = sample.stored(name).await;
        assert!(listed.contains(&stored), "{stored:?}");
    }
}

pub(super) async fn times_are_those_of_the_store<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    let committed = sample.write(sample.draft().create(id).events(1)).await;
    let before = sample.now().await;
    assert!(before >= committed.committed_at);
    let defined = sample.defined(NAME).await;
    let after = sample.now().await;
    for time in [defined.defined_at, defined.moved_at] {
        assert!(before <= time && time <= after, "{before} <= {time} <= {after}");
    }

    // What is no move is not taken for one, and a move is.
    let later = sample.now_after(after).await;
    let owned = sample.claimed(NAME, "owner", LEASE).await;
    assert_eq!((owned.defined_at, owned.moved_at), (defined.defined_at, defined.moved_at));
    sample.checkpoint(&next(&owned, 1)).await.unwrap();
    let moved = sample.stored(NAME).await;
    assert!(later <= moved.moved_at && moved.moved_at <= sample.now().await, "{moved:?}");
    assert_eq!(moved.defined_at, defined.defined_at);

    let expires_at = owner_of(&owned).expires_at.micros();
    let lease = i64::try_from(LEASE.as_micros()).unwrap();
    let started = expires_at - lease;
    assert!(later.micros() <= started && started <= moved.moved_at.micros(), "a lease lasts as it says");
}

pub(super) async fn everything_is_there_after_a_restart<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    for name in ["failed", "new", "owned", "paused"] {
        sample.defined(name).await;
    }
    let owned = sample.claimed("owned", "owner", LEASE).await;
    let failed = vec![failed(11, 3, "broken"), failed(12, 5, "broken too")];
    sample.checkpoint(&Checkpoint { failed, ..next(&owned, 5) }).await.unwrap();
    let given_up = sample.claimed("failed", "other", LEASE).await;
    sample.release_subscription("failed", given_up.token, Some("it fails")).await.unwrap();
    sample.change_subscription("paused", &SubscriptionChange::Pause, None).await.unwrap();
    let before = sample.all_subscriptions().await;
    sample.close().await.unwrap();

    let sample = Sample::open(&harness).await;
    assert_eq!(sample.all_subscriptions().await, before);
    let stored = sample.stored("owned").await;
    assert_eq!((stored.cursor.get(), stored.anchor), (15, Some(event(15))));
    assert_eq!(sample.stored("failed").await.failure.as_deref(), Some("it fails"));
    assert!(sample.stored("paused").await.paused);
    // The owner, if it is still there, goes on.
    sample.checkpoint(&next(&stored, 1)).await.unwrap();
}
