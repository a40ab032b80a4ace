//! Idempotency: what is committed under a key is committed once.

use super::{
    Harness,
    fixtures::{
        AWKWARD_TEXTS, Committed, Sample, assert_conflict, commit_at_once, numbers, sequences, whole, winners,
    },
};
use crate::{
    AggregateId,
    engine::{CommitError, CommitOutcome, PastCommit, StorageEngine, Timestamp},
};

pub(super) async fn a_known_key_is_repeated_and_writes_nothing<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let [first, second] = sample.new_ids().await;
    let committed = sample.write(sample.draft().create(first).events(2).once("order-4711", "first")).await;
    let before = sample.everything().await;

    let answer = sample.try_write(sample.draft().create(second).events(3).once("order-4711", "second")).await;
    assert_repeated(&answer, "first", committed);
    assert_eq!(sample.everything().await, before);
    assert_eq!(sample.load_one(whole(second)).await, None);
}

pub(super) async fn the_receipt_of_the_first_commit_is_handed_back<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(0).await;
    let receipt = format!("{{\"texts\":{AWKWARD_TEXTS:?},\"long\":{:?}}}", "x".repeat(100_000));
    let committed = sample.write(sample.draft().at(id, 0).events(1).once("key", &receipt)).await;
    let answer = sample.try_write(sample.draft().at(id, 1).events(1).once("key", "other")).await;
    assert_repeated(&answer, &receipt, committed);
}

pub(super) async fn a_commit_without_events_is_repeated_too<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(1).await;
    let committed = sample.write(sample.draft().at(id, 1).key("name").once("key", "receipt")).await;
    assert_eq!(committed.last_position, None);
    let answer = sample.try_write(sample.draft().at(id, 1).events(1).once("key", "")).await;
    assert_repeated(&answer, "receipt", committed);
}

pub(super) async fn a_known_key_is_looked_at_before_anything_else<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account_with_key("taken").await;
    let [unknown, new] = sample.new_ids().await;
    let committed = sample.write(sample.draft().at(id, 1).events(1).once("key", "receipt")).await;
    let wrong = [
        sample.draft().at(id, 1).events(1),
        sample.draft().at(unknown, 1).events(1),
        sample.draft().create(new).key("taken"),
    ];
    for draft in wrong {
        assert_repeated(&sample.try_write(draft.once("key", "")).await, "receipt", committed);
    }
}

pub(super) async fn a_failed_commit_leaves_its_key_free<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(1).await;
    assert_conflict(&sample.try_write(sample.draft().at(id, 0).events(1).once("key", "first")).await, id, 1);
    let committed = sample.write(sample.draft().at(id, 1).events(1).once("key", "second")).await;
    let answer = sample.try_write(sample.draft().at(id, 2).events(1).once("key", "third")).await;
    assert_repeated(&answer, "second", committed);
}

pub(super) async fn keys_differ_when_one_byte_differs<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let longest = ["k".repeat(255), "\u{20ac}".repeat(85)];
    let keys = AWKWARD_TEXTS.iter().copied().chain(longest.iter().map(String::as_str));
    let mut commits = Vec::new();
    for key in keys {
        let id = sample.new_id().await;
        commits.push((key, sample.write(sample.draft().create(id).events(1).once(key, key)).await));
    }
    for (key, committed) in commits {
        assert_repeated(&sample.try_write(sample.draft().once(key, "")).await, key, committed);
    }
}

pub(super) async fn of_many_commits_at_once_one_is_made<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    for round in 0..10 {
        let key = format!("key {round}");
        let ids: [AggregateId; 16] = sample.new_ids().await;
        let drafts = ids.map(|id| sample.draft().create(id).events(2).once(&key, &id.to_string()));
        let answers = commit_at_once([&sample, &other], drafts).await;

        assert_eq!(winners(&answers), 1, "{answers:?}");
        let (winner, committed) =
            ids.into_iter().zip(&answers).find_map(|(id, answer)| Some((id, made(answer)?))).unwrap();
        for answer in answers.iter().filter(|answer| made(answer).is_none()) {
            assert_repeated(answer, &winner.to_string(), committed);
        }
        for id in ids {
            assert_eq!(sample.load_one(whole(id)).await.is_some(), id == winner);
        }
    }
}

pub(super) async fn many_commits_to_one_aggregate_at_once_are_made_once<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let id = sample.account(0).await;
    for version in 0..20 {
        let key = format!("key {version}");
        let drafts = vec![sample.draft().at(id, version).events(1).once(&key, "receipt"); 8];
        let answers = commit_at_once([&sample, &other], drafts).await;
        assert_eq!(winners(&answers), 1, "{answers:?}");
        assert!(answers.iter().all(Result::is_ok), "the others are repeats, not conflicts: {answers:?}");
    }
    assert_eq!(sequences(&sample.whole(id).await.events), numbers(1, 20));
}

pub(super) async fn a_key_is_known_after_a_restart<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(0).await;
    let committed = sample.write(sample.draft().at(id, 0).events(1).once("key", "receipt")).await;
    sample.close().await.unwrap();

    let sample = Sample::open(&harness).await;
    assert_repeated(
        &sample.try_write(sample.draft().at(id, 0).events(1).once("key", "")).await,
        "receipt",
        committed,
    );
}

pub(super) async fn a_forgotten_key_can_be_used_again<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(0).await;
    let first = sample.write(sample.draft().at(id, 0).events(1).once("key", "first")).await;
    let later = sample.account_after(first.committed_at).await.committed_at;
    assert_eq!(sample.forget_keys(later).await.unwrap(), 1);
    assert_eq!(sample.forget_keys(later).await.unwrap(), 0);

    let second = sample.write(sample.draft().at(id, 1).events(1).once("key", "second")).await;
    assert_repeated(&sample.try_write(sample.draft().once("key", "")).await, "second", second);
    assert_eq!(sequences(&sample.whole(id).await.events), [1, 2], "events are not forgotten");
}

pub(super) async fn keys_of_later_commits_stay<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(0).await;
    let early = sample.write(sample.draft().at(id, 0).events(1).once("early", "early")).await;
    sample.account_after(early.committed_at).await;
    let late = sample.write(sample.draft().at(id, 1).events(1).once("late", "late")).await;

    assert_eq!(
        sample.forget_keys(early.committed_at).await.unwrap(),
        0,
        "a commit is not before its own time"
    );
    assert_eq!(sample.forget_keys(late.committed_at).await.unwrap(), 1);
    assert_repeated(&sample.try_write(sample.draft().once("late", "")).await, "late", late);
}

pub(super) async fn a_commit_is_found_by_its_key<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(0).await;
    assert_eq!(sample.find_commit("key").await.unwrap(), None);
    let Committed { last_position, committed_at } =
        sample.write(sample.draft().at(id, 0).events(1).once("key", "receipt")).await;
    let expected = PastCommit { receipt: "receipt".to_owned(), last_position, committed_at };
    assert_eq!(sample.find_commit("key").await.unwrap(), Some(expected));
    assert_eq!(sample.find_commit("Key").await.unwrap(), None);
    sample.account_after(committed_at).await;
    sample.forget_keys(Timestamp::now()).await.unwrap();
    assert_eq!(sample.find_commit("key").await.unwrap(), None);
}

fn made(answer: &Result<CommitOutcome, CommitError>) -> Option<Committed> {
    match answer {
        Ok(CommitOutcome::Committed { last_position, committed_at }) => {
            Some(Committed { last_position: *last_position, committed_at: *committed_at })
        }
        _ => None,
    }
}

#[track_caller]
fn assert_repeated(
    answer: &Result<CommitOutcome, CommitError>,
    receipt: &str,
    Committed { last_position, committed_at }: Committed,
) {
    let receipt = receipt.to_owned();
    let expected = CommitOutcome::Repeated(PastCommit { receipt, last_position, committed_at });
    assert_eq!(answer.as_ref().unwrap(), &expected);
}
