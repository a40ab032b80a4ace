//! Commits in transactions of the caller.

use std::time::Duration;

use super::{
    Harness,
    fixtures::{
        Draft, Sample, assert_conflict, assert_duplicate_key, assert_unknown, numbers, sequences, whole,
    },
};
use crate::engine::{CommitError, CommitOutcome, StorageEngine, TransactionalEngine};

type Answer = Result<CommitOutcome, CommitError>;

pub(super) async fn what_is_finished_is_there<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (old, new) = (sample.account(2).await, sample.new_id().await);
    let draft =
        sample.draft().at(old, 2).key("old").events(3).create(new).key("new").events(1).snapshot(1, "state");
    let mut transaction = sample.begin().await.unwrap();
    let answer = sample.commit_in(&draft.changes(), &mut transaction).await.unwrap();
    sample.finish(transaction).await.unwrap();

    let CommitOutcome::Committed { last_position, committed_at } = answer else { panic!("{answer:?}") };
    assert_eq!(last_position, Some(sample.head().await.unwrap()));
    assert_eq!(sequences(&sample.whole(old).await.events), numbers(1, 5));
    assert_eq!((sample.holder("old").await, sample.holder("new").await), (Some(old), Some(new)));
    let written = sample.log().await;
    assert!(written.iter().rev().take(4).all(|event| event.recorded_at == committed_at), "{written:?}");
}

pub(super) async fn what_is_rolled_back_is_not_there<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (old, new) = (sample.account_with_key("old").await, sample.new_id().await);
    let before = sample.everything().await;
    let draft = sample
        .draft()
        .at(old, 1)
        .rename("old", "older")
        .events(3)
        .create(new)
        .key("old")
        .once("key", "receipt");
    let mut transaction = sample.begin().await.unwrap();
    sample.commit_in(&draft.changes(), &mut transaction).await.unwrap();
    drop(transaction);

    assert_eq!(sample.everything().await, before);
    assert_eq!(sample.find_commit("key").await.unwrap(), None);
    // What is written next finds nothing in its way.
    sample.write(sample.draft().at(old, 1).rename("old", "older").events(1).create(new).key("old")).await;
    assert_eq!(sequences(&sample.whole(old).await.events), [1, 2]);
}

pub(super) async fn nobody_sees_it_before_it_is_finished<H: Harness<Engine: TransactionalEngine>>(
    harness: H,
) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let id = sample.account(1).await;
    let head = sample.head().await.unwrap();
    let mut transaction = sample.begin().await.unwrap();
    sample.commit_in(&sample.draft().at(id, 1).events(1).changes(), &mut transaction).await.unwrap();
    assert_eq!(other.version(id).await, 1);
    sample.finish(transaction).await.unwrap();
    assert_eq!(other.version(id).await, 2);
    assert!(other.head().await.unwrap() > head);
}

pub(super) async fn several_commits_share_a_transaction<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let sample = Sample::open(&harness).await;
    let [first, second] = sample.new_ids().await;
    let mut transaction = sample.begin().await.unwrap();
    for draft in [
        sample.draft().create(first).key("name").events(2),
        sample.draft().at(first, 2).events(1).create(second).events(1),
        sample.draft().at(first, 3).rename("name", "other").at(second, 1).key("name").events(1),
    ] {
        sample.commit_in(&draft.changes(), &mut transaction).await.unwrap();
    }
    sample.finish(transaction).await.unwrap();
    assert_eq!(sequences(&sample.whole(first).await.events), [1, 2, 3]);
    assert_eq!(sequences(&sample.whole(second).await.events), [1, 2]);
    assert_eq!((sample.holder("other").await, sample.holder("name").await), (Some(first), Some(second)));
}

pub(super) async fn refusals_are_those_of_a_commit<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let sample = Sample::open(&harness).await;
    let taken = sample.account_with_key("taken").await;
    let [unknown, new] = sample.new_ids().await;
    let before = sample.everything().await;
    assert_conflict(&refused(&sample, sample.draft().at(taken, 0).events(1)).await, taken, 1);
    assert_conflict(&refused(&sample, sample.draft().at(taken, 2).events(1)).await, taken, 1);
    assert_conflict(&refused(&sample, sample.draft().at(taken, 1).rename("other", "new")).await, taken, 1);
    assert_unknown(&refused(&sample, sample.draft().at(unknown, 0).events(1)).await, unknown);
    assert_duplicate_key(&refused(&sample, sample.draft().create(new).key("taken").events(1)).await, new);
    assert_eq!(sample.everything().await, before);
}

/// The answer to a commit in a transaction that is rolled back then.
async fn refused<E: TransactionalEngine>(sample: &Sample<E>, draft: Draft) -> Answer {
    let mut transaction = sample.begin().await.unwrap();
    sample.commit_in(&draft.changes(), &mut transaction).await
}

pub(super) async fn after_a_refusal_and_a_rollback_the_store_goes_on<
    H: Harness<Engine: TransactionalEngine>,
>(
    harness: H,
) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(1).await;
    let new = sample.new_id().await;
    let mut transaction = sample.begin().await.unwrap();
    let first = sample.draft().create(new).key("name").events(2).changes();
    sample.commit_in(&first, &mut transaction).await.unwrap();
    let second = sample.commit_in(&sample.draft().at(id, 7).events(1).changes(), &mut transaction).await;
    assert_conflict(&second, id, 1);
    drop(transaction);
    assert_eq!(sample.load_one(whole(new)).await, None);
    sample.write(sample.draft().at(id, 1).events(1).create(new).key("name")).await;
}

pub(super) async fn a_known_key_is_repeated<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(0).await;
    sample.write(sample.draft().at(id, 0).events(1).once("key", "receipt")).await;
    let first = sample.find_commit("key").await.unwrap().unwrap();
    let mut transaction = sample.begin().await.unwrap();
    let draft = sample.draft().at(id, 0).events(5).once("key", "other");
    let answer = sample.commit_in(&draft.changes(), &mut transaction).await.unwrap();
    sample.finish(transaction).await.unwrap();
    assert_eq!(answer, CommitOutcome::Repeated(first));
    assert_eq!(sample.version(id).await, 1);
}

pub(super) async fn the_doorbell_rings_when_it_is_finished<H: Harness<Engine: TransactionalEngine>>(
    harness: H,
) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(0).await;
    let mut listener = sample.watch();
    let mut transaction = sample.begin().await.unwrap();
    sample.commit_in(&sample.draft().at(id, 0).events(1).changes(), &mut transaction).await.unwrap();
    sample.finish(transaction).await.unwrap();
    let rung = tokio::time::timeout(Duration::from_secs(10), listener.rung()).await;
    assert!(rung.is_ok(), "it does not ring");
    assert_eq!(sample.version(id).await, 1);
}

pub(super) async fn writers_wait_for_an_open_one_if_the_engine_says_so<
    H: Harness<Engine: TransactionalEngine>,
>(
    harness: H,
) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let [within, beside] = [sample.account(0).await, sample.account(0).await];
    let mut transaction = sample.begin().await.unwrap();
    sample.commit_in(&sample.draft().at(within, 0).events(1).changes(), &mut transaction).await.unwrap();
    let writer = other.clone();
    let commit = tokio::spawn(async move { writer.try_write(writer.draft().at(beside, 0).events(1)).await });
    if H::Engine::BLOCKS_WRITERS {
        for _ in 0..20 {
            assert_eq!(other.version(beside).await, 0, "it waits");
        }
        sample.finish(transaction).await.unwrap();
        commit.await.unwrap().unwrap();
    } else {
        commit.await.unwrap().unwrap();
        assert_eq!(other.version(beside).await, 1, "it does not wait");
        sample.finish(transaction).await.unwrap();
    }
    assert_eq!((sample.version(within).await, sample.version(beside).await), (1, 1));
}
