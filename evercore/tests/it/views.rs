//! What a unit of work sees of itself when keys wander, several tasks work at once, or user code fails.

use std::panic::{AssertUnwindSafe, catch_unwind};

use evercore::{Aggregate, Apply, Error, EventStore, NaturalKey, RawEvent, RecordedEvent, Sequence, event};
use evercore_memory::MemoryEngine;
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{Account, Deposited, Diary, Domain, User, UserLoggedIn, created, log_in, store, stored_user},
    observed::ObservedEngine,
};

#[tokio::test]
async fn a_raw_event_for_an_aggregate_of_another_type_is_refused() {
    let store = store().await;
    let ctx = store.begin();
    let user = ctx.create::<User>().await.unwrap();
    let diary = ctx.create::<Diary>().await.unwrap();
    // Both list an event at this place, and only `User` has a second one.
    for (id, name, json) in
        [(user.id().untyped(), "Deposited", "1"), (diary.id().untyped(), "Withdrawn", "1")]
    {
        let result =
            ctx.publish(id.typed::<Account>(), Sequence::NONE, RawEvent::from_json(name, json)).await;
        assert!(matches!(result, Err(Error::WrongType { .. })), "{result:?}");
    }
    assert_eq!(ctx.commit().await.unwrap().last_position(), None);
}

/// The account as another part of the program knows it.
#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Audited, Deposited), name = "Account", snapshot = off)]
struct Ledger {
    deposits: u32,
}

#[event]
struct Audited {}

impl Apply<Audited> for Ledger {
    fn apply(&mut self, _event: &Audited) {}
}

impl Apply<Deposited> for Ledger {
    fn apply(&mut self, _event: &Deposited) {
        self.deposits += 1;
    }
}

// The places of events in the lists of the two types differ, so a view of one cannot be made of the other's.
#[tokio::test]
async fn a_unit_of_work_changes_an_aggregate_as_one_type() {
    let store = store().await;
    let id = store
        .with_context(async |ctx| {
            let mut account = ctx.create::<Account>().await?;
            ctx.apply(&mut account, Deposited(1))?;
            Ok(account.id())
        })
        .await
        .unwrap();
    let other = id.untyped().typed::<Ledger>();
    assert_eq!(store.load(other).await.unwrap().deposits, 1);

    let ctx = store.begin();
    let mut ledger = ctx.load(other).await.unwrap();
    let mut account = ctx.load(id).await.unwrap();
    ctx.apply(&mut account, Deposited(1)).unwrap();
    assert!(matches!(ctx.load(other).await, Err(Error::WrongType { .. })));
    assert!(matches!(ctx.apply(&mut ledger, Audited {}), Err(Error::WrongType { .. })));
    ctx.commit().await.unwrap();
    assert_eq!(store.load(other).await.unwrap().deposits, 2);
}

#[tokio::test]
async fn tasks_of_one_unit_of_work_load_or_create_one_aggregate() {
    let store = EventStore::open::<Domain>(ObservedEngine::new()).await.unwrap();
    let ctx = store.begin();
    let (first, second) =
        tokio::join!(ctx.load_or_create::<Account>("till"), ctx.load_or_create::<Account>("till"));
    let (mut first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.id(), second.id());
    ctx.apply(&mut first, Deposited(1)).unwrap();
    ctx.commit().await.unwrap();
    assert_eq!(store.load_by_key::<Account>("till").await.unwrap().balance(), 1);
}

#[tokio::test]
async fn a_key_that_two_aggregates_had_for_a_while_stays_with_the_one_that_keeps_it() {
    let store = store().await;
    let ctx = store.begin();
    let first = ctx.create_with_key::<User>("shared").await.unwrap();
    let mut second = ctx.create_with_key::<User>("shared").await.unwrap();
    ctx.change_key(&mut second, "own").unwrap();
    assert_eq!(ctx.find_by_key::<User>("shared").await.unwrap(), Some(first.id()));
    assert_eq!(ctx.load_or_create::<User>("shared").await.unwrap().id(), first.id());
    ctx.commit().await.unwrap();
    assert_eq!(store.load_by_key::<User>("shared").await.unwrap().id(), first.id());
}

#[tokio::test]
async fn two_aggregates_that_the_unit_of_work_itself_leaves_with_one_key_are_no_conflict() {
    let store = store().await;
    let ctx = store.begin();
    ctx.load_or_create::<User>("john").await.unwrap();
    ctx.create_with_key::<User>("john").await.unwrap();
    let error = ctx.commit().await.unwrap_err();
    assert!(matches!(error, Error::DuplicateKey { load_or_create: false, .. }), "{error:?}");
    assert!(!error.is_conflict(), "the next run would do the same");
}

#[tokio::test]
async fn a_copy_with_an_older_key_is_stale() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    let mut older = ctx.load(id).await.unwrap();
    let mut newer = ctx.load(id).await.unwrap();
    ctx.change_key(&mut newer, "johnny").unwrap();
    assert!(matches!(ctx.apply(&mut older, UserLoggedIn {}), Err(Error::StaleCopy { .. })));
    assert!(matches!(ctx.change_key(&mut older, "jack"), Err(Error::StaleCopy { .. })));
    ctx.apply(&mut newer, UserLoggedIn {}).unwrap();
    let receipt = ctx.commit().await.unwrap();
    assert_eq!(receipt.aggregates()[0].key.as_ref().map(NaturalKey::as_str), Some("johnny"));
}

async fn rename(store: &EventStore, id: evercore::AggregateId<User>, key: &str) {
    store
        .with_context(async |ctx| {
            let mut user = ctx.load(id).await?;
            ctx.change_key(&mut user, key)
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_view_over_an_aggregate_that_others_renamed_is_a_conflict() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    let mut user = ctx.load(id).await.unwrap();
    ctx.apply(&mut user, UserLoggedIn {}).unwrap();
    rename(&store, id, "johnny").await;
    assert!(ctx.load(id).await.unwrap_err().is_conflict());
    assert!(ctx.load_by_key::<User>("johnny").await.unwrap_err().is_conflict());

    let ctx = store.begin();
    ctx.require_unchanged(&ctx.load(id).await.unwrap()).unwrap();
    rename(&store, id, "jack").await;
    let mut renamed = store.load(id).await.unwrap();
    assert!(ctx.apply(&mut renamed, UserLoggedIn {}).unwrap_err().is_conflict());
}

// A key is something that a unit of work writes, so requiring an aggregate covers its key.
#[tokio::test]
async fn of_two_contexts_that_require_what_the_other_renames_at_most_one_commits() {
    let store = store().await;
    let (a, b) = (stored_user(&store, "a", 0).await, stored_user(&store, "b", 0).await);
    let rename = async |ctx: &evercore::Context, own, other, key| {
        let mut own = ctx.load::<User>(own).await.unwrap();
        let other = ctx.load::<User>(other).await.unwrap();
        ctx.require_unchanged(&other).unwrap();
        ctx.change_key(&mut own, key).unwrap();
    };
    let (first, second) = (store.begin(), store.begin());
    rename(&first, a, b, "a2").await;
    rename(&second, b, a, "b2").await;
    let receipt = first.commit().await.unwrap();
    assert_eq!(receipt.aggregates().len(), 1, "the required one is not written");
    assert!(second.commit().await.unwrap_err().is_conflict());
    assert_eq!(store.load_by_key::<User>("b").await.unwrap().id(), b);
}

#[tokio::test]
async fn a_copy_of_what_is_only_required_is_no_copy_of_the_unit_of_work() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let dropped = store.begin();
    dropped.require_unchanged(&dropped.load(id).await.unwrap()).unwrap();
    let mut copy = dropped.load(id).await.unwrap();
    drop(dropped);
    let ctx = store.begin();
    ctx.apply(&mut copy, UserLoggedIn {}).unwrap();
    ctx.commit().await.unwrap();
}

#[tokio::test]
async fn a_refused_raw_event_leaves_nothing_to_be_compared_later() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    let login = RawEvent::from_json("UserLoggedIn", "{}");
    let refused = ctx.publish(id, Sequence::new(7), login).await;
    assert!(matches!(refused, Err(Error::StaleCopy { .. })), "{refused:?}");
    log_in(&store, id).await;
    let mut user = ctx.load(id).await.unwrap();
    ctx.apply(&mut user, UserLoggedIn {}).unwrap();
    ctx.commit().await.unwrap();
}

#[tokio::test]
async fn no_sequence_is_too_great_to_be_refused() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    for after in [i64::MAX, i64::MIN, -1] {
        let login = RawEvent::from_json("UserLoggedIn", "{}");
        let refused = store.begin().publish(id, Sequence::new(after), login).await;
        assert!(matches!(refused, Err(Error::StaleCopy { .. })), "{refused:?}");
    }
}

/// An aggregate whose `apply` does half of its work and panics.
#[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Poked, Broken), snapshot_every = 1)]
struct Fragile {
    pokes: u32,
}

#[event]
struct Poked {}

#[event]
struct Broken {}

impl Apply<Poked> for Fragile {
    fn apply(&mut self, _event: &Poked) {
        self.pokes += 1;
    }
}

impl Apply<Broken> for Fragile {
    fn apply(&mut self, _event: &Broken) {
        self.pokes += 100;
        panic!("a bug of the application");
    }
}

// The state is half changed then. Nobody may go on with it, and no snapshot may keep it.
#[tokio::test]
async fn after_a_panic_in_apply_neither_the_copy_nor_the_context_can_be_used() {
    let store = EventStore::open::<Fragile>(MemoryEngine::new()).await.unwrap();
    let id = store
        .with_context(async |ctx| ctx.create::<Fragile>().await.map(|fragile| fragile.id()))
        .await
        .unwrap();
    let ctx = store.begin();
    let mut fragile = ctx.load(id).await.unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| ctx.apply(&mut fragile, Broken {})));
    assert!(panicked.is_err());

    assert!(matches!(ctx.apply(&mut fragile, Poked {}), Err(Error::ContextClosed)));
    assert!(matches!(ctx.load(id).await, Err(Error::ContextClosed)));
    assert!(matches!(ctx.commit().await, Err(Error::ContextClosed)));
    assert!(matches!(store.begin().apply(&mut fragile, Poked {}), Err(Error::Uncommitted(_))));
    assert_eq!(store.load(id).await.unwrap().pokes, 0);
}

#[tokio::test]
async fn every_future_can_be_sent_to_another_thread() {
    fn sendable<T: Send>(future: T) -> T {
        future
    }
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    sendable(ctx.load_many(&[id])).await.unwrap();
    sendable(ctx.find_by_key::<User>("john")).await.unwrap();
    sendable(ctx.exists_by_key::<User>(String::from("john"))).await.unwrap();
    sendable(ctx.ids::<User>(None, 1)).await.unwrap();
    sendable(ctx.history(id)).await.unwrap();
    sendable(ctx.create::<Diary>()).await.unwrap();
    let mut jane = sendable(ctx.load_or_create::<User>("jane")).await.unwrap();
    ctx.apply(&mut jane, created("jane")).unwrap();
    sendable(ctx.publish(id, Sequence::new(1), RawEvent::from_json("UserLoggedIn", "{}"))).await.unwrap();
    sendable(ctx.commit()).await.unwrap();
    sendable(store.load_by_key::<User>("john")).await.unwrap();
    sendable(store.head()).await.unwrap();
    sendable(store.locate(chrono::Utc::now())).await.unwrap();
    sendable(store.forget_keys(chrono::Utc::now())).await.unwrap();
    sendable(store.close()).await.unwrap();
}

#[tokio::test]
async fn a_history_is_of_one_moment() {
    let store = EventStore::open::<Domain>(ObservedEngine::new()).await.unwrap();
    let id = stored_user(&store, "john", 0).await;
    for pause in 0..5 {
        let reader = store.read_only();
        let login = async {
            for _ in 0..pause {
                tokio::task::yield_now().await;
            }
            let ctx = store.begin();
            let mut user = ctx.load(id).await.unwrap();
            ctx.apply(&mut user, UserLoggedIn {}).unwrap();
            ctx.commit().await.unwrap();
        };
        let (history, ()) = tokio::join!(biased; reader.history(id), login);
        let history = history.unwrap();
        assert_eq!(
            history.events.last().map(RecordedEvent::sequence),
            Some(history.version),
            "after {pause}"
        );
    }
}

// Whatever is done with keys, the view of the unit of work and the store after it agree with a simple list.
#[tokio::test]
async fn keys_wander_as_in_a_simple_list() {
    const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
    let mut random = 7_u64;
    let mut below = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % limit
    };
    let (mut committed, mut refused) = (0, 0);
    for round in 0..300 {
        let store = store().await;
        let mut list = Vec::new();
        for key in ["a", "b", "c"] {
            list.push((stored_user(&store, key, 0).await, key));
        }
        let before = list.clone();
        let ctx = store.begin();
        for _ in 0..=below(7) {
            let key = KEYS[below(KEYS.len())];
            match below(4) {
                0 => list.push((ctx.create_with_key::<User>(key).await.unwrap().id(), key)),
                1 => {
                    let id = ctx.load_or_create::<User>(key).await.unwrap().id();
                    if !list.contains(&(id, key)) {
                        assert!(
                            list.iter().all(|(_, other)| *other != key),
                            "{key} in round {round}: {list:?}"
                        );
                        list.push((id, key));
                    }
                }
                _ => {
                    let chosen = below(list.len());
                    let mut user = ctx.load(list[chosen].0).await.unwrap();
                    ctx.change_key(&mut user, key).unwrap();
                    list[chosen].1 = key;
                }
            }
            for key in KEYS {
                let found = ctx.find_by_key::<User>(key).await.unwrap();
                let holders: Vec<_> =
                    list.iter().filter(|(_, other)| *other == key).map(|(id, _)| *id).collect();
                assert!(
                    found.map_or(holders.is_empty(), |found| holders.contains(&found)),
                    "{key} in round {round}: {found:?} of {list:?}"
                );
            }
        }
        let is_unique = KEYS.iter().all(|key| list.iter().filter(|(_, other)| other == key).count() < 2);
        let result = ctx.commit().await;
        assert_eq!(result.is_ok(), is_unique, "round {round}: {result:?} for {list:?}");
        let expected = if is_unique { &list } else { &before };
        *(if is_unique { &mut committed } else { &mut refused }) += 1;
        for key in KEYS {
            let holder = expected.iter().find(|(_, other)| *other == key).map(|(id, _)| *id);
            assert_eq!(
                store.read_only().find_by_key::<User>(key).await.unwrap(),
                holder,
                "round {round}: {key}"
            );
        }
    }
    assert!(committed > 20 && refused > 20, "{committed} and {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_of_one_unit_of_work_change_one_aggregate_one_after_the_other() {
    let store = EventStore::open::<Domain>(ObservedEngine::new()).await.unwrap();
    let id = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let ctx = ctx.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    loop {
                        let mut user = ctx.load(id).await.unwrap();
                        match ctx.apply(&mut user, UserLoggedIn {}) {
                            Ok(()) => break,
                            Err(Error::StaleCopy { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    ctx.commit().await.unwrap();
    let user = store.load(id).await.unwrap();
    assert_eq!((user.logins, user.sequence().get()), (160, 161));
    assert_eq!(user.replay().snapshot, Some(Sequence::new(161)), "the last state was lent");
}

#[tokio::test]
async fn operations_that_are_given_up_leave_nothing_behind() {
    let store = EventStore::open::<Domain>(ObservedEngine::new()).await.unwrap();
    let id = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    let login = || RawEvent::from_json("UserLoggedIn", "{}");
    assert!(ctx.load_or_create::<User>("jane").now_or_never().is_none(), "the engine has not answered");
    assert!(ctx.publish(id, Sequence::new(1), login()).now_or_never().is_none());
    assert!(ctx.load(id).now_or_never().is_none());
    assert_eq!(ctx.find_by_key::<User>("jane").await.unwrap(), None);
    assert_eq!(ctx.commit().await.unwrap().aggregates(), []);
    assert_eq!(store.load(id).await.unwrap().sequence().get(), 1);
}
