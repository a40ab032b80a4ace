//! Natural keys: unique within an aggregate type, compared byte by byte.

use super::{
    Harness,
    fixtures::{
        AWKWARD_TEXTS, Sample, assert_conflict, assert_duplicate_key, assert_unknown, commit_at_once, key,
        whole_by_key, winners,
    },
};
use crate::{NaturalKey, engine::StorageEngine};

pub(super) async fn a_key_is_found<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (john, jane) = (sample.account_with_key("john").await, sample.account_with_key("jane").await);
    assert_eq!(sample.holder("john").await, Some(john));
    assert_eq!(sample.holder("jane").await, Some(jane));
    assert_eq!(sample.holder("joan").await, None);
}

pub(super) async fn a_key_is_found_within_its_type_only<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    sample.account_with_key("john").await;
    assert_eq!(sample.find_by_key(sample.types.order, &key("john")).await.unwrap(), None);
    assert_eq!(sample.load_one(whole_by_key(sample.types.order, "john")).await, None);
}

pub(super) async fn the_same_key_under_two_types_is_fine<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let [account, order, next] = sample.new_ids().await;
    let order_type = sample.types.order;
    sample
        .write(sample.draft().create(account).key("at once").create_of(order_type, order).key("at once"))
        .await;
    sample.write(sample.draft().create(next).key("later")).await;
    sample.write(sample.draft().at_of(order_type, order, 0).rename("at once", "later")).await;
    assert_eq!((sample.holder("at once").await, sample.holder("later").await), (Some(account), Some(next)));
    assert_eq!(sample.find_by_key(order_type, &key("at once")).await.unwrap(), None);
    assert_eq!(sample.find_by_key(order_type, &key("later")).await.unwrap(), Some(order));
}

pub(super) async fn a_key_of_255_bytes_is_found_and_one_of_256_is_refused<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    for longest in ["k".repeat(255), "\u{20ac}".repeat(85)] {
        let id = sample.account_with_key(&longest).await;
        assert_eq!(sample.holder(&longest).await, Some(id));
        assert_eq!(sample.key_of(id).await, Some(key(&longest)));
    }
    let error = NaturalKey::new("k".repeat(256)).unwrap_err().to_string();
    assert!(error.contains("256") && error.contains("255"), "{error:?} names both lengths");
    NaturalKey::new("").unwrap_err();
    NaturalKey::new("nul\0").unwrap_err();
}

pub(super) async fn keys_differ_when_one_byte_differs<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let mut accounts = Vec::new();
    for text in AWKWARD_TEXTS {
        accounts.push((sample.account_with_key(text).await, text));
    }
    for (id, text) in accounts {
        assert_eq!(sample.holder(text).await, Some(id), "{text:?}");
        let loaded = sample.load_one(whole_by_key(sample.types.account, text)).await.unwrap();
        assert_eq!((loaded.id, loaded.key), (id, Some(key(text))));
    }
}

pub(super) async fn a_taken_key_is_a_duplicate<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let first = sample.account_with_key("taken").await;
    let [other, second] = sample.new_ids().await;
    let before = sample.everything().await;
    let draft = sample.draft().create(other).key("free").events(1).create(second).key("taken").events(1);
    assert_duplicate_key(&sample.try_write(draft).await, second);
    assert_eq!(sample.everything().await, before);
    assert_eq!(sample.holder("taken").await, Some(first));
    assert_eq!(sample.holder("free").await, None);
}

pub(super) async fn a_change_to_a_taken_key_is_a_duplicate<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (john, jane) = (sample.account_with_key("john").await, sample.account_with_key("jane").await);
    assert_duplicate_key(&sample.try_write(sample.draft().at(jane, 1).rename("jane", "john")).await, jane);
    assert_eq!(
        (sample.key_of(john).await, sample.key_of(jane).await),
        (Some(key("john")), Some(key("jane")))
    );
}

pub(super) async fn one_key_twice_in_a_commit_is_a_duplicate<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let [left, right] = sample.new_ids().await;
    let answer = sample.try_write(sample.draft().create(left).key("same").create(right).key("same")).await;
    assert_duplicate_key(&answer, right);
    assert_eq!(sample.holder("same").await, None);
}

pub(super) async fn a_key_is_given_later<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account(1).await;
    assert_eq!(sample.key_of(id).await, None);
    sample.write(sample.draft().at(id, 1).key("late")).await;
    assert_eq!((sample.key_of(id).await, sample.version(id).await), (Some(key("late")), 1));
    assert_eq!(sample.holder("late").await, Some(id));
}

pub(super) async fn a_key_that_was_given_up_finds_nothing<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account_with_key("old").await;
    sample.write(sample.draft().at(id, 1).rename("old", "new")).await;
    assert_eq!(sample.holder("old").await, None);
    assert_eq!(sample.load_one(whole_by_key(sample.types.account, "old")).await, None);
    assert_eq!(sample.holder("new").await, Some(id));
    let second = sample.account_with_key("old").await;
    assert_eq!(sample.holder("old").await, Some(second));
}

pub(super) async fn a_key_that_is_not_the_expected_one_is_a_conflict<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (named, nameless) = (sample.account_with_key("name").await, sample.account(1).await);
    let before = sample.everything().await;
    assert_conflict(&sample.try_write(sample.draft().at(named, 1).rename("other", "x")).await, named, 1);
    assert_conflict(&sample.try_write(sample.draft().at(named, 1).key("x")).await, named, 1);
    assert_conflict(&sample.try_write(sample.draft().at(nameless, 1).rename("name", "x")).await, nameless, 1);
    assert_eq!(sample.everything().await, before);
}

pub(super) async fn the_key_of_an_unknown_aggregate_does_not_change<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    assert_unknown(&sample.try_write(sample.draft().at(id, 0).key("x")).await, id);
    assert_eq!(sample.holder("x").await, None);
}

pub(super) async fn keys_are_swapped_in_one_commit<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let (left, right) = (sample.account_with_key("left").await, sample.account_with_key("right").await);
    sample
        .write(sample.draft().at(left, 1).rename("left", "right").at(right, 1).rename("right", "left"))
        .await;
    assert_eq!((sample.holder("left").await, sample.holder("right").await), (Some(right), Some(left)));
    assert_eq!(
        (sample.key_of(left).await, sample.key_of(right).await),
        (Some(key("right")), Some(key("left")))
    );
}

pub(super) async fn keys_go_round_in_one_commit<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let a = sample.account_with_key("a").await;
    let (b, c) = (sample.account_with_key("b").await, sample.account_with_key("c").await);
    // Once in each direction, so that no order of the aggregates is the lucky one.
    let draft = sample.draft().at(a, 1).rename("a", "b").at(b, 1).rename("b", "c");
    sample.write(draft.at(c, 1).rename("c", "a")).await;
    assert_eq!(
        [sample.holder("a").await, sample.holder("b").await, sample.holder("c").await].map(Option::unwrap),
        [c, a, b]
    );
    let draft = sample.draft().at(a, 1).rename("b", "a").at(b, 1).rename("c", "b");
    sample.write(draft.at(c, 1).rename("a", "c")).await;
    assert_eq!(
        [sample.holder("a").await, sample.holder("b").await, sample.holder("c").await].map(Option::unwrap),
        [a, b, c]
    );
}

pub(super) async fn a_freed_key_is_reused_in_the_same_commit<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let old = sample.account_with_key("name").await;
    let new = sample.new_id().await;
    sample.write(sample.draft().at(old, 1).rename("name", "old").create(new).key("name").events(1)).await;
    assert_eq!((sample.holder("name").await, sample.holder("old").await), (Some(new), Some(old)));

    // The other way round: here the aggregate that gets the key has the lower id.
    sample.write(sample.draft().at(new, 1).rename("name", "new").at(old, 1).rename("old", "name")).await;
    assert_eq!((sample.holder("name").await, sample.holder("new").await), (Some(old), Some(new)));
}

pub(super) async fn a_key_may_be_changed_to_itself<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.account_with_key("same").await;
    sample.write(sample.draft().at(id, 1).rename("same", "same").events(1)).await;
    assert_eq!((sample.holder("same").await, sample.version(id).await), (Some(id), 2));
}

pub(super) async fn of_many_who_take_a_key_at_once_one_gets_it<H: Harness>(harness: H) {
    let (sample, other) = (Sample::open(&harness).await, Sample::open(&harness).await);
    for round in 0..10 {
        let name = format!("key {round}");
        let ids: [_; 8] = sample.new_ids().await;
        let drafts = ids.map(|id| sample.draft().create(id).key(&name).events(1));
        let answers = commit_at_once([&sample, &other], drafts).await;
        assert_eq!(winners(&answers), 1);
        for (id, answer) in ids.into_iter().zip(&answers).filter(|(_, answer)| answer.is_err()) {
            assert_duplicate_key(answer, id);
        }
        let holder = sample.holder(&name).await.unwrap();
        assert!(answers[ids.iter().position(|id| *id == holder).unwrap()].is_ok());
    }
}
