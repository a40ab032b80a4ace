//! Commits: whole or not at all, and only on what they are based on.

use std::time::Duration;

use super::{
    Harness,
    fixtures::{
        Sample, assert_conflict, assert_duplicate_key, assert_unknown, commit_at_once, numbers, sequences,
        whole, winners,
    },
};
use crate::{
    AggregateId, Position, Sequence,
    engine::{CommitError, CommitOutcome, StorageEngine},
};

pub(super) async fn after_a_conflict_nothing_is_there<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (changed, renamed) = (sample.account(1).await, sample.account_with_key("old").await);
    let [created, stale] = sample.new_ids().await;
    sample.write(sample.draft().create(stale).events(3)).await;
    let before = sample.everything().await;

    let draft =
        sample.draft().at(changed, 1).events(2).snapshot(3, "state").at(renamed, 1).rename("old", "new");
    let draft = draft.create(created).key("created").events(1).at(stale, 2).events(1).once("once", "receipt");
    assert_conflict(&sample.try_write(draft).await, stale, 3);
    assert_eq!(sample.everything().await, before);
    assert_eq!((sample.holder("old").await, sample.holder("new").await), (Some(renamed), None));
    assert_eq!((sample.holder("created").await, sample.load_one(whole(created)).await), (None, None));
    let draft = sample.draft().at(stale, 3).events(1).once("once", "the key is still free");
    assert_eq!(winners(&[sample.try_write(draft).await]), 1);
}

pub(super) async fn after_a_duplicate_key_nothing_is_there<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (changed, taken) = (sample.account(1).await, sample.account_with_key("taken").await);
    let [created, second] = sample.new_ids().await;
    let before = sample.everything().await;

    let draft = sample.draft().at(changed, 1).events(2).snapshot(2, "state").at(taken, 1).events(1);
    let draft = draft.create(created).key("created").events(1).create(second).key("taken").once("once", "");
    assert_duplicate_key(&sample.try_write(draft).await, second);
    assert_eq!(sample.everything().await, before);
    assert_eq!(sample.holder("created").await, None);
    let draft = sample.draft().create(created).once("once", "the key is still free");
    assert_eq!(winners(&[sample.try_write(draft).await]), 1);
}

pub(super) async fn after_an_unknown_aggregate_nothing_is_there<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let changed = sample.account(1).await;
    let unknown = sample.new_id().await;
    let before = sample.everything().await;

    let draft = sample.draft().at(changed, 1).events(2).snapshot(2, "state").at(unknown, 1).events(1);
    assert_unknown(&sample.try_write(draft).await, unknown);
    assert_eq!(sample.everything().await, before);
}

pub(super) async fn nothing_is_a_commit_too<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.account(1).await;
    let before = sample.everything().await;
    assert_eq!(sample.write(sample.draft()).await.last_position, None);
    assert_eq!(sample.everything().await, before);
}

pub(super) async fn an_append_at_a_lower_sequence_is_a_conflict<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(3).await;
    for stale in 0..3 {
        assert_conflict(&sample.try_write(sample.draft().at(id, stale).events(1)).await, id, 3);
    }
    assert_eq!(sequences(&sample.whole(id).await.events), numbers(1, 3));
}

pub(super) async fn an_append_that_leaves_a_gap_is_a_conflict<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(2).await;
    assert_conflict(&sample.try_write(sample.draft().at(id, 3).events(1)).await, id, 2);
    assert_conflict(&sample.try_write(sample.draft().at(id, 9).events(1)).await, id, 2);
    sample.write(sample.draft().at(id, 2).events(1)).await;
    assert_eq!(sequences(&sample.whole(id).await.events), numbers(1, 3));
}

pub(super) async fn a_new_aggregate_that_exists_is_a_conflict<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (empty, id) = (sample.account(0).await, sample.account(2).await);
    let before = sample.everything().await;
    assert_conflict(&sample.try_write(sample.draft().create(id).events(1)).await, id, 2);
    assert_conflict(&sample.try_write(sample.draft().create(empty)).await, empty, 0);
    assert_eq!(sample.everything().await, before);
}

pub(super) async fn one_that_does_not_exist_is_unknown<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    assert_unknown(&sample.try_write(sample.draft().at(id, 0).events(1)).await, id);
    assert_unknown(&sample.try_write(sample.draft().at(id, 1).events(1)).await, id);
    assert_unknown(&sample.try_write(sample.draft().at(id, 0)).await, id);
    assert_eq!(sample.load_one(whole(id)).await, None);
}

pub(super) async fn the_actual_sequence_is_right_after_a_winner_of_three_events<H: Harness>(harness: H) {
    let (winner, loser) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let id = winner.account(1).await;
    assert_eq!(loser.version(id).await, 1);
    winner.write(winner.draft().at(id, 1).events(3)).await;
    assert_conflict(&loser.try_write(loser.draft().at(id, 1).events(1)).await, id, 4);
    loser.write(loser.draft().at(id, 4).events(1)).await;
    assert_eq!(sequences(&winner.whole(id).await.events), numbers(1, 5));
}

pub(super) async fn of_two_appends_at_once_exactly_one_wins<H: Harness>(harness: H) {
    of_many_appends_exactly_one_wins(&harness, 2).await;
}

pub(super) async fn of_sixteen_appends_at_once_exactly_one_wins<H: Harness>(harness: H) {
    of_many_appends_exactly_one_wins(&harness, 16).await;
}

async fn of_many_appends_exactly_one_wins(harness: &impl Harness, count: usize) {
    let (sample, other) = (Sample::open(harness).await, Sample::open(harness).await);
    let id = sample.account(1).await;
    for round in 0..50 {
        let version = 1 + 3 * round;
        let drafts = vec![sample.draft().at(id, version).events(3); count];
        let answers = commit_at_once([&sample, &other], drafts).await;
        assert_eq!(winners(&answers), 1, "{answers:?}");
        for loser in answers.iter().filter(|answer| answer.is_err()) {
            assert_conflict(loser, id, version + 3);
        }
    }
    assert_eq!(sequences(&sample.whole(id).await.events), numbers(1, 151));
}

pub(super) async fn a_required_aggregate_that_has_changed_is_a_conflict<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (required, changed) = (sample.account(2).await, sample.account(1).await);
    assert_conflict(
        &sample.try_write(sample.draft().at(required, 1).at(changed, 1).events(1)).await,
        required,
        2,
    );
    assert_conflict(
        &sample.try_write(sample.draft().at(required, 3).at(changed, 1).events(1)).await,
        required,
        2,
    );
    sample.write(sample.draft().at(required, 2).at(changed, 1).events(1)).await;
    assert_eq!((sample.version(required).await, sample.version(changed).await), (2, 2));
}

pub(super) async fn a_required_aggregate_may_be_all_there_is<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let required = sample.account(2).await;
    let before = sample.everything().await;
    assert_eq!(sample.write(sample.draft().at(required, 2)).await.last_position, None);
    assert_conflict(&sample.try_write(sample.draft().at(required, 1)).await, required, 2);
    assert_eq!(sample.everything().await, before);
}

pub(super) async fn a_required_aggregate_stays_until_the_commit_is_visible<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let (required, changed) = (sample.account(1).await, sample.account(1).await);
    let (mut required_at, mut changed_at) = (1, 1);
    for _ in 0..50 {
        let append = sample.draft().at(required, required_at).events(1);
        let require = sample.draft().at(required, required_at).at(changed, changed_at).events(1);
        let answers = commit_at_once([&sample, &other], [append, require]).await;

        let appended = position(&answers[0]).expect("nothing stands against the append");
        match position(&answers[1]) {
            Some(other) => assert!(other < appended, "{other} required what changed at {appended}"),
            None => assert_conflict(&answers[1], required, required_at + 1),
        }
        (required_at, changed_at) = (sample.version(required).await, sample.version(changed).await);
    }
}

pub(super) async fn of_two_that_require_what_the_other_writes_at_most_one_wins<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let (left, right) = (sample.account(1).await, sample.account(1).await);
    for _ in 0..100 {
        let (at_left, at_right) = (sample.version(left).await, sample.version(right).await);
        // Four of each, which makes it likelier that they meet.
        let drafts = (0..8).map(|writer| match writer % 4 {
            0 | 3 => sample.draft().at(left, at_left).events(1).at(right, at_right),
            _ => sample.draft().at(right, at_right).events(1).at(left, at_left),
        });
        let answers = commit_at_once([&sample, &other], drafts).await;
        assert!(winners(&answers) <= 1, "both wrote what the other required");
        for answer in answers.iter().filter(|answer| answer.is_err()) {
            assert!(matches!(answer, Err(CommitError::Conflict { .. })), "{answer:?}");
        }
    }
}

pub(super) async fn opposite_orders_do_not_deadlock<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let (a, b) = (sample.account_with_key("a").await, sample.account_with_key("b").await);
    for version in 1..=50 {
        let (old_a, old_b) = if version % 2 == 1 { ("a", "b") } else { ("b", "a") };
        let forward = || {
            let draft = sample.draft().at(a, version).rename(old_a, old_b).events(1);
            draft.at(b, version).rename(old_b, old_a).events(1)
        };
        let backward = || {
            let draft = sample.draft().at(b, version).rename(old_b, old_a).events(1);
            draft.at(a, version).rename(old_a, old_b).events(1)
        };
        let drafts = [forward(), backward(), backward(), forward()];
        let answers = commit_at_once([&sample, &other], drafts).await;
        assert_eq!(winners(&answers), 1, "{answers:?}");
        for answer in answers.iter().filter(|answer| answer.is_err()) {
            assert!(matches!(answer, Err(CommitError::Conflict { .. })), "{answer:?}");
        }
    }
    assert_eq!((sample.version(a).await, sample.version(b).await), (51, 51));
}

pub(super) async fn events_get_positions_in_their_order<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let [left, right] = sample.new_ids().await;
    let draft =
        sample.draft().create(left).create(right).events(1).again(left).events(2).again(right).events(1);
    let committed = sample.write(draft).await;

    let log = sample.log().await;
    let written: Vec<_> = log.iter().map(|event| (event.aggregate_id, event.sequence.get())).collect();
    assert_eq!(written, [(right, 1), (left, 1), (left, 2), (right, 2)]);
    assert!(log.is_sorted_by(|one, next| one.position < next.position));
    assert_eq!(log.last().map(|event| event.position), committed.last_position);
}

pub(super) async fn positions_are_above_those_of_earlier_commits<H: Harness>(harness: H) {
    let engines = [Sample::open(&harness).await, Sample::open(&harness).await];
    let mut last = Position::START;
    for engine in engines.iter().cycle().take(20) {
        let id = engine.account(2).await;
        let events = engine.whole(id).await.events;
        assert!(events[0].position > last, "{} comes after {last}", events[0].position);
        last = events[1].position;
    }
}

pub(super) async fn all_events_are_recorded_at_the_time_of_the_commit<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let first = sample.new_id().await;
    let earlier = sample.write(sample.draft().create(first).events(1)).await;
    let [left, right] = sample.new_ids().await;
    let later = sample.write(sample.draft().create(left).events(100).create(right).events(100)).await;

    assert!(earlier.committed_at <= later.committed_at);
    assert_eq!(sample.whole(first).await.events[0].recorded_at, earlier.committed_at);
    for event in [sample.whole(left).await.events, sample.whole(right).await.events].concat() {
        assert_eq!(event.recorded_at, later.committed_at);
        assert!(event.time < event.recorded_at, "the time of an event is the application's");
    }
}

pub(super) async fn a_thousand_aggregates_in_one_commit<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let ids: [AggregateId; 1000] = sample.new_ids().await;
    let draft = ids.iter().fold(sample.draft(), |draft, id| {
        draft.create(*id).key(&format!("account {id}")).events(2).snapshot(2, "state")
    });
    sample.write(draft).await;
    let draft = ids.iter().fold(sample.draft(), |draft, id| draft.at(*id, 2).events(1));
    sample.write(draft).await;
    for id in [ids[0], ids[499], ids[999]] {
        assert_eq!(sample.holder(&format!("account {id}")).await, Some(id));
        assert_eq!(sequences(&sample.whole(id).await.events), numbers(1, 3));
    }

    let mut draft = ids[..999].iter().fold(sample.draft(), |draft, id| draft.at(*id, 3).events(1));
    draft = draft.at(ids[999], 2).events(1);
    assert_conflict(&sample.try_write(draft).await, ids[999], 3);
    assert_eq!((sample.version(ids[0]).await, sample.version(ids[999]).await), (3, 3));
}

pub(super) async fn sixty_four_at_once_are_all_written<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    let ids: [AggregateId; 64] = sample.new_ids().await;
    let answers = commit_at_once([&sample, &other], ids.map(|id| sample.draft().create(id).events(3))).await;
    assert_eq!(winners(&answers), 64, "{answers:?}");
    for id in ids {
        assert_eq!(sequences(&sample.whole(id).await.events), numbers(1, 3));
    }
    assert_eq!(sample.log().await.len(), 192);
}

pub(super) async fn sixty_four_that_try_again_count_to_sixty_four<H: Harness>(harness: H) {
    let engines = [Sample::open(&harness).await, Sample::open(&harness).await];
    let id = engines[0].account(0).await;
    let writers: Vec<_> = engines
        .iter()
        .cycle()
        .take(64)
        .cloned()
        .map(|engine| tokio::spawn(async move { append_until_it_works(&engine, id, 0).await }))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(sequences(&engines[0].whole(id).await.events), numbers(1, 64));
}

/// Appends one event, at first to `version` and then to that which a conflict tells.
async fn append_until_it_works<E: StorageEngine>(engine: &Sample<E>, id: AggregateId, mut version: i64) {
    loop {
        match engine.try_write(engine.draft().at(id, version).events(1)).await {
            Ok(_) => return,
            Err(CommitError::Conflict { actual, .. }) => {
                let actual = actual.map(Sequence::get).unwrap();
                assert_ne!(actual, version, "there is no conflict about the right sequence");
                version = actual;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

pub(super) async fn one_that_is_dropped_is_there_as_a_whole_or_not_at_all<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (left, right) = (sample.account(0).await, sample.account(0).await);
    for round in 0..50 {
        let (at_left, at_right) = (sample.version(left).await, sample.version(right).await);
        let draft = sample.draft().at(left, at_left).events(10).at(right, at_right).events(10);
        // Some are dropped at once, some are done in time, and an earlier one may still be under way.
        let _ = tokio::time::timeout(Duration::from_micros(round * 40), sample.try_write(draft)).await;
    }
    append_until_it_works(&sample, left, 0).await;
    append_until_it_works(&sample, right, 0).await;

    let (left, right) = (sample.whole(left).await, sample.whole(right).await);
    assert_eq!(left.version, right.version);
    assert_eq!(left.version.get() % 10, 1, "of ten events all are there, or none");
    assert_eq!(sequences(&left.events), numbers(1, left.version.get()));
    assert_eq!(sequences(&right.events), numbers(1, right.version.get()));
}

fn position(answer: &Result<CommitOutcome, CommitError>) -> Option<Position> {
    match answer {
        Ok(CommitOutcome::Committed { last_position, .. }) => *last_position,
        _ => None,
    }
}
