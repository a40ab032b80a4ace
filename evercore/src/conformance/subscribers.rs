//! What cases about subscriptions do again and again.

use std::{sync::Arc, time::Duration};

use tokio::sync::Barrier;

use super::fixtures::Sample;
use crate::{
    AggregateId, Position, Sequence,
    engine::{
        Checkpoint, Claim, EventIdentity, Fenced, FencingToken, NewFailedDelivery, NewSubscription, Owner,
        OwnerError, Renewal, StorageEngine, StoredFailedDelivery, StoredSubscription, SubscriptionChange,
        Timestamp,
    },
};

/// The subscription of most cases.
pub(super) const NAME: &str = "subscription";

/// It lasts longer than a case.
pub(super) const LEASE: Duration = Duration::from_secs(3600);

/// It expires soon.
pub(super) const SHORT_LEASE: Duration = Duration::from_millis(50);

/// Where subscriptions of these cases start.
pub(super) const START: Position = Position::new(10);

impl<E: StorageEngine> Sample<E> {
    /// A subscription of this name that starts at [`START`], new or not.
    pub(super) async fn defined(&self, name: &str) -> StoredSubscription {
        self.define_subscription(&definition(name)).await.unwrap()
    }

    /// The subscription as its new owner sees it: nothing stands against the claim.
    pub(super) async fn claimed(&self, name: &str, owner: &str, lease: Duration) -> StoredSubscription {
        claimed(self.claim_subscription(name, owner, lease).await.unwrap())
    }

    /// A new subscription [`NAME`] as its owner sees it.
    pub(super) async fn owned(&self, owner: &str) -> StoredSubscription {
        self.defined(NAME).await;
        self.claimed(NAME, owner, LEASE).await
    }

    /// The subscription as its next owner sees it, who has to wait for a lease to expire.
    pub(super) async fn taken_over(&self, name: &str, owner: &str, lease: Duration) -> StoredSubscription {
        loop {
            match self.claim_subscription(name, owner, lease).await.unwrap() {
                Claim::Held { .. } => tokio::task::yield_now().await,
                other => return claimed(other),
            }
        }
    }

    /// The subscription as it is stored.
    pub(super) async fn stored(&self, name: &str) -> StoredSubscription {
        let mut found = self.subscriptions(Some(name)).await.unwrap().subscriptions;
        assert_eq!(found.len(), 1, "{name:?} is there, once");
        found.remove(0)
    }

    /// All subscriptions and their failed deliveries.
    pub(super) async fn all_subscriptions(&self) -> Vec<(StoredSubscription, Vec<StoredFailedDelivery>)> {
        let mut all = Vec::new();
        for subscription in self.subscriptions(None).await.unwrap().subscriptions {
            let failed = self.all_failed(&subscription.name).await;
            all.push((subscription, failed));
        }
        all
    }

    pub(super) async fn all_failed(&self, name: &str) -> Vec<StoredFailedDelivery> {
        self.failed_deliveries(name, Position::START, u32::MAX).await.unwrap()
    }

    /// Makes a change from outside, to a subscription that is there.
    pub(super) async fn changed(&self, change: &SubscriptionChange) -> StoredSubscription {
        self.change_subscription(NAME, change, None).await.unwrap().unwrap()
    }

    /// The time by the store's clock.
    pub(super) async fn now(&self) -> Timestamp {
        self.subscriptions(Some(NAME)).await.unwrap().now
    }

    /// A time by the store's clock that is later than this one.
    pub(super) async fn now_after(&self, time: Timestamp) -> Timestamp {
        loop {
            match self.now().await {
                now if now > time => return now,
                _ => tokio::task::yield_now().await,
            }
        }
    }

    /// What was once a claim is worth nothing any more, for this reason, and changes nothing.
    pub(super) async fn assert_fenced(&self, former: &StoredSubscription, reason: &Fenced) {
        let before = self.all_subscriptions().await;
        let (name, token) = (former.name.as_str(), former.token);
        let failed = vec![failed(17, 1, "fenced")];
        for from in before.iter().map(|(stored, _)| stored.cursor).chain([former.cursor]) {
            let checkpoint =
                Checkpoint { from, to: Position::new(1_000_000), failed: failed.clone(), ..next(former, 1) };
            assert_eq!(&fenced(self.checkpoint(&checkpoint).await), reason, "a checkpoint");
        }
        assert_eq!(self.renew_leases(&[renewal(former)]).await.unwrap(), [Some(reason.clone())]);
        assert_eq!(
            &fenced(self.release_subscription(name, token, Some("fenced")).await),
            reason,
            "a release"
        );
        for change in changes() {
            let answer = self.change_subscription(name, &change, Some(token)).await;
            assert_eq!(&fenced(answer), reason, "{change:?}");
        }
        assert_eq!(self.all_subscriptions().await, before, "what is fenced changes nothing");
    }
}

pub(super) fn definition(name: &str) -> NewSubscription {
    NewSubscription { name: name.to_owned(), filter: "a filter".to_owned(), cursor: START }
}

/// One change of each kind.
pub(super) fn changes() -> [SubscriptionChange; 6] {
    [
        SubscriptionChange::Pause,
        SubscriptionChange::Resume,
        SubscriptionChange::Redefine { filter: "another filter".to_owned() },
        reset(4),
        SubscriptionChange::Reset { cursor: Position::new(4), filter: Some("another filter".to_owned()) },
        SubscriptionChange::Delete,
    ]
}

pub(super) fn reset(cursor: i64) -> SubscriptionChange {
    SubscriptionChange::Reset { cursor: Position::new(cursor), filter: None }
}

/// The owner's next checkpoint, so many positions further on, where an event was delivered.
pub(super) fn next(owned: &StoredSubscription, positions: i64) -> Checkpoint {
    let to = owned.cursor.get() + positions;
    Checkpoint {
        name: owned.name.clone(),
        token: owned.token,
        from: owned.cursor,
        to: Position::new(to),
        anchor: Some(event(to)),
        failed: vec![],
    }
}

/// The event at this position.
pub(super) fn event(position: i64) -> EventIdentity {
    EventIdentity {
        position: Position::new(position),
        aggregate_id: AggregateId::new(1000 + position),
        sequence: Sequence::new(position / 2 + 1),
        recorded_at: Timestamp::from_micros(1_700_000_000_000_000 + position).unwrap(),
    }
}

pub(super) fn failed(position: i64, attempts: u32, error: &str) -> NewFailedDelivery {
    NewFailedDelivery { position: Position::new(position), attempts, error: error.to_owned() }
}

/// What identifies failed deliveries, and what their last attempts said.
pub(super) fn errors(failed: &[StoredFailedDelivery]) -> Vec<(i64, u32, &str)> {
    failed.iter().map(|one| (one.position.get(), one.attempts, one.error.as_str())).collect()
}

pub(super) fn renewal(owned: &StoredSubscription) -> Renewal {
    Renewal { name: owned.name.clone(), token: owned.token, lease: LEASE }
}

#[track_caller]
pub(super) fn claimed(claim: Claim) -> StoredSubscription {
    match claim {
        Claim::Claimed(subscription) => subscription,
        other => panic!("a claim was expected, not {other:?}"),
    }
}

#[track_caller]
pub(super) fn owner_of(subscription: &StoredSubscription) -> &Owner {
    subscription.owner.as_ref().unwrap()
}

pub(super) fn taken_over_by(owner: &str) -> Fenced {
    Fenced::TakenOver { owner: owner.to_owned() }
}

/// The reason why an owner could not do something.
#[track_caller]
pub(super) fn fenced<T: std::fmt::Debug>(answer: Result<T, OwnerError>) -> Fenced {
    match answer {
        Err(OwnerError::Fenced(reason)) => reason,
        other => panic!("an owner who is fenced was expected, not {other:?}"),
    }
}

/// Where the cursor is, which is not where it was expected.
#[track_caller]
pub(super) fn moved<T: std::fmt::Debug>(answer: Result<T, OwnerError>) -> i64 {
    match answer {
        Err(OwnerError::Moved(cursor)) => cursor.get(),
        other => panic!("a cursor that is elsewhere was expected, not {other:?}"),
    }
}

/// Each of these tokens is greater than the one before.
#[track_caller]
pub(super) fn assert_growing(tokens: &[FencingToken]) {
    assert!(tokens.is_sorted_by(|one, next| one < next), "tokens grow: {tokens:?}");
}

/// Does all of this at the same time; the answers are in the same order.
pub(super) async fn at_once<T: Send + 'static>(
    calls: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let calls: Vec<_> = calls.into_iter().collect();
    let start = Arc::new(Barrier::new(calls.len()));
    let started = calls.into_iter().map(|call| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            call.await
        })
    });
    let mut answers = Vec::new();
    for task in started.collect::<Vec<_>>() {
        answers.push(task.await.unwrap());
    }
    answers
}
