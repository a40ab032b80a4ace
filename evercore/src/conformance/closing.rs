//! Closing an engine.

use super::{
    Harness,
    fixtures::{Sample, key, names, time, whole, winners},
    subscribers::{LEASE, NAME, definition, next, renewal},
};
use crate::{
    AggregateId, Position,
    engine::{
        CommitError, EngineError, EngineErrorKind, EventFilter, LogRead, OwnerError, StorageEngine,
        SubscriptionChange, SubscriptionEngine,
    },
};

pub(super) async fn later_calls_fail<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(1).await;
    let read = LogRead { filter: EventFilter::default(), after: Position::START, limit: 1 };
    sample.close().await.unwrap();

    assert_closed(sample.define_types(&names(&["late"], &["late"])).await);
    assert_closed(sample.types().await);
    assert_closed(sample.reserve_ids(1).await);
    assert_closed(sample.forget_keys(time(0)).await);
    assert_closed(sample.find_by_key(sample.types.account, &key("name")).await);
    assert_closed(sample.load(&[whole(id)]).await);
    assert_closed(sample.aggregate_ids(sample.types.account, None, 1).await);
    assert_closed(sample.read_log(&read).await);
    assert_closed(sample.head().await);
    assert_closed(sample.locate(time(0)).await);
    match sample.try_write(sample.draft().at(id, 1).events(1)).await {
        Err(CommitError::Engine(error)) => assert_eq!(error.kind(), EngineErrorKind::Closed),
        other => panic!("a closed engine was expected, not {other:?}"),
    }
}

pub(super) async fn later_calls_about_subscriptions_fail<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let owned = sample.owned("owner").await;
    sample.close().await.unwrap();

    assert_closed(sample.define_subscription(&definition(NAME)).await);
    assert_closed(sample.define_subscription(&definition("late")).await);
    assert_closed(sample.claim_subscription(NAME, "late", LEASE).await);
    assert_closed(sample.renew_leases(&[renewal(&owned)]).await);
    assert_closed(sample.checkpoint(&next(&owned, 1)).await.map_err(failure));
    assert_closed(sample.release_subscription(NAME, owned.token, None).await.map_err(failure));
    let pause = sample.change_subscription(NAME, &SubscriptionChange::Pause, None).await;
    assert_closed(pause.map_err(failure));
    assert_closed(sample.subscriptions(None).await);
    assert_closed(sample.failed_deliveries(NAME, Position::START, 1).await);
    assert_closed(sample.drop_failed_delivery(NAME, Position::START).await);

    let sample = Sample::open(&harness).await;
    assert_eq!(sample.all_subscriptions().await, [(owned, vec![])]);
}

fn failure(error: OwnerError) -> EngineError {
    match error {
        OwnerError::Engine(error) => error,
        other => panic!("a closed engine was expected, not {other:?}"),
    }
}

pub(super) async fn the_error_names_the_engine<H: Harness>(harness: H) {
    let engine = harness.open().await;
    engine.close().await.unwrap();
    let error = engine.head().await.unwrap_err();
    assert_eq!(error.engine(), engine.name());
    assert!(!error.is_temporary());
}

pub(super) async fn closing_twice_is_fine<H: Harness>(harness: H) {
    let engine = harness.open().await;
    engine.close().await.unwrap();
    engine.close().await.unwrap();
}

pub(super) async fn other_engines_on_the_store_stay_open<H: Harness>(harness: H) {
    let (closed, open) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let id = closed.account(1).await;
    closed.close().await.unwrap();
    open.write(open.draft().at(id, 1).events(1)).await;
    assert_eq!(open.version(id).await, 2);
}

pub(super) async fn what_is_under_way_is_finished_or_refused<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let ids: [AggregateId; 32] = sample.new_ids().await;
    let commits = ids.map(|id| {
        let engine = sample.clone();
        tokio::spawn(async move { engine.try_write(engine.draft().create(id).events(3)).await })
    });
    sample.close().await.unwrap();
    let mut answers = Vec::new();
    for commit in commits {
        answers.push(commit.await.unwrap());
    }

    let sample = Sample::open(&harness).await;
    for (id, answer) in ids.into_iter().zip(answers) {
        let version = sample.load_one(whole(id)).await.map(|loaded| loaded.version.get());
        let expected = if winners(std::slice::from_ref(&answer)) == 1 { Some(3) } else { None };
        assert_eq!(version, expected, "after {answer:?}");
    }
}

#[track_caller]
fn assert_closed<T: std::fmt::Debug>(answer: Result<T, EngineError>) {
    assert_eq!(answer.unwrap_err().kind(), EngineErrorKind::Closed);
}
