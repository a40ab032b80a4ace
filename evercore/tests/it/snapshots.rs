//! Snapshots: when they are taken, and what happens to those that do not fit.

use evercore::{
    Aggregate, Apply, EventStore, Payload, Sequence,
    engine::{AggregateChange, Changes, Expected, KeyChange, NewSnapshot, StorageEngine},
    event,
};
use evercore_memory::MemoryEngine;
use serde::{Deserialize, Serialize};

use crate::domain::{Diary, Noted, User, UserLoggedIn, store, stored_user};

#[tokio::test]
async fn a_snapshot_is_taken_when_a_multiple_is_crossed_and_of_the_final_state() {
    let store = store().await;
    // `User` takes one every 5 events.
    let id = stored_user(&store, "john", 3).await;
    assert_eq!(snapshot_of(&store, id).await, None);
    log_in_often(&store, id, 3).await;
    assert_eq!(snapshot_of(&store, id).await, Some(7), "5 was crossed, 7 is where the commit ended");
    log_in_often(&store, id, 1).await;
    assert_eq!(snapshot_of(&store, id).await, Some(7));
    log_in_often(&store, id, 2).await;
    assert_eq!(snapshot_of(&store, id).await, Some(10));

    log_in_often(&store, id, 2).await;
    let user = store.load(id).await.unwrap();
    assert_eq!((user.logins, user.sequence().get()), (11, 12));
    assert_eq!((user.replay().snapshot, user.replay().events), (Some(Sequence::new(10)), 2));
}

#[tokio::test]
async fn a_state_that_is_not_clone_has_snapshots_too() {
    let store = store().await;
    let ctx = store.begin();
    let mut diary = ctx.create::<Diary>().await.unwrap();
    for number in 0..150 {
        ctx.apply(&mut diary, Noted(number.to_string())).unwrap();
    }
    ctx.commit().await.unwrap();
    let loaded = store.load(diary.id()).await.unwrap();
    assert_eq!((loaded.replay().snapshot, loaded.replay().events), (Some(Sequence::new(150)), 0));
    assert_eq!(loaded.state(), diary.state());
}

#[tokio::test]
async fn a_state_that_goes_on_elsewhere_is_taken_back_from_the_snapshot() {
    let store = store().await;
    let id = stored_user(&store, "john", 3).await;
    let first = store.begin();
    let mut user = first.load(id).await.unwrap();
    first.apply(&mut user, UserLoggedIn {}).unwrap();
    // The copy is used further, outside of the unit of work that has borrowed its state.
    let mut copy = user.clone();
    first.commit().await.unwrap();
    assert_eq!(snapshot_of(&store, id).await, Some(5));
    let second = store.begin();
    second.apply(&mut user, UserLoggedIn {}).unwrap();
    drop(second);
    assert!(store.begin().apply(&mut copy, UserLoggedIn {}).is_ok());
    assert_eq!(store.load(id).await.unwrap().logins, 4);
}

#[tokio::test]
async fn a_snapshot_can_be_saved_by_hand() {
    let store = store().await;
    let id = stored_user(&store, "john", 1).await;
    let ctx = store.begin();
    let user = ctx.load(id).await.unwrap();
    ctx.save_snapshot(&user).unwrap();
    assert!(ctx.commit().await.unwrap().aggregates().is_empty());
    let user = store.load(id).await.unwrap();
    assert_eq!((user.replay().snapshot, user.replay().events, user.logins), (Some(Sequence::new(2)), 0, 1));

    // Also of buffered events, and only if nobody else came between.
    let ctx = store.begin();
    let mut user = ctx.load(id).await.unwrap();
    ctx.apply(&mut user, UserLoggedIn {}).unwrap();
    ctx.save_snapshot(&user).unwrap();
    log_in_often(&store, id, 1).await;
    assert!(ctx.commit().await.unwrap_err().is_conflict());
    assert_eq!(snapshot_of(&store, id).await, Some(2));
}

#[tokio::test]
async fn raw_events_after_a_due_snapshot_leave_no_wrong_one_behind() {
    let store = store().await;
    let id = stored_user(&store, "john", 3).await;
    let ctx = store.begin();
    let mut user = ctx.load(id).await.unwrap();
    ctx.apply(&mut user, UserLoggedIn {}).unwrap();
    ctx.publish(id, user.sequence(), evercore::RawEvent::from_json("UserLoggedIn", "{}")).await.unwrap();
    ctx.commit().await.unwrap();
    assert_eq!(snapshot_of(&store, id).await, None);
    assert_eq!(store.load(id).await.unwrap().logins, 5);
}

/// The same counter, as two versions of a program know it.
mod versions {
    use super::{Aggregate, Apply, Deserialize, Serialize, event};

    #[event]
    pub(crate) struct Counted {}

    #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(events(Counted), name = "Counter", snapshot_every = 2)]
    pub(crate) struct Old {
        pub(crate) count: u64,
    }

    #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(events(Counted), name = "Counter", snapshot_every = 2)]
    pub(crate) struct New {
        pub(crate) count: u64,
        #[serde(default)]
        pub(crate) doubled: u64,
    }

    impl Apply<Counted> for Old {
        fn apply(&mut self, _event: &Counted) {
            self.count += 1;
        }
    }

    impl Apply<Counted> for New {
        fn apply(&mut self, _event: &Counted) {
            self.count += 1;
            self.doubled += 2;
        }
    }
}

// The Go library decoded such a snapshot: `doubled` would have been 0.
#[tokio::test]
async fn a_snapshot_of_another_shape_is_ignored_and_everything_replayed() {
    let engine = MemoryEngine::new();
    let old = EventStore::open::<versions::Old>(engine.clone()).await.unwrap();
    let id = old
        .with_context(async |ctx| {
            let mut counter = ctx.create::<versions::Old>().await?;
            for _ in 0..4 {
                ctx.apply(&mut counter, versions::Counted {})?;
            }
            Ok(counter.id())
        })
        .await
        .unwrap();
    assert_eq!(old.load(id).await.unwrap().replay().events, 0);

    let new = EventStore::open::<versions::New>(engine).await.unwrap();
    let counter = new.load(id.untyped().typed::<versions::New>()).await.unwrap();
    assert_eq!((counter.count, counter.doubled, counter.sequence().get()), (4, 8, 4));
    assert_eq!((counter.replay().snapshot, counter.replay().events), (None, 4));
}

#[tokio::test]
async fn a_snapshot_that_does_not_decode_is_ignored_and_everything_replayed() {
    let engine = MemoryEngine::new();
    let store = EventStore::open::<User>(engine.clone()).await.unwrap();
    let id = stored_user(&store, "john", 3).await;
    let fingerprint = User::SNAPSHOTS.fingerprint().unwrap();
    let types = engine.types().await.unwrap();
    let broken = NewSnapshot {
        aggregate_id: id.untyped(),
        sequence: Sequence::new(4),
        fingerprint,
        payload: Payload::encode("not a user").unwrap(),
    };
    let aggregate = AggregateChange {
        id: id.untyped(),
        type_id: types.aggregates[0].0,
        expected: Expected::At(Sequence::new(4)),
        version: Sequence::new(4),
        key: KeyChange::Keep,
    };
    let changes = Changes { aggregates: vec![aggregate], snapshots: vec![broken], ..Changes::default() };
    engine.commit(&changes).await.unwrap();

    let user = store.load(id).await.unwrap();
    assert_eq!((user.logins, user.sequence().get(), user.replay().events), (3, 4, 4));
}

async fn log_in_often(store: &EventStore, id: evercore::AggregateId<User>, times: u32) {
    store
        .with_context(async |ctx| {
            let mut user = ctx.load(id).await?;
            for _ in 0..times {
                ctx.apply(&mut user, UserLoggedIn {})?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

async fn snapshot_of(store: &EventStore, id: evercore::AggregateId<User>) -> Option<i64> {
    let history = store.read_only().history(id).await.unwrap();
    history.snapshot.map(|snapshot| snapshot.sequence.get())
}

#[derive(Debug, Default, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Filled), snapshot_every = 2, validate = Glass::check)]
struct Glass {
    content: u32,
}

#[event]
struct Filled(u32);

impl Apply<Filled> for Glass {
    fn apply(&mut self, event: &Filled) {
        self.content += event.0;
    }
}

impl Glass {
    fn check(&self) -> Result<(), &'static str> {
        if self.content <= 10 { Ok(()) } else { Err("it runs over") }
    }
}

#[tokio::test]
async fn a_refused_event_takes_no_snapshot_away() {
    let store = EventStore::open::<Glass>(MemoryEngine::new()).await.unwrap();
    let ctx = store.begin();
    let mut glass = ctx.create::<Glass>().await.unwrap();
    ctx.apply(&mut glass, Filled(5)).unwrap();
    ctx.apply(&mut glass, Filled(5)).unwrap();
    ctx.apply(&mut glass, Filled(1)).unwrap_err();
    ctx.commit().await.unwrap();
    let glass = store.load(glass.id()).await.unwrap();
    assert_eq!((glass.replay().snapshot, glass.content), (Some(Sequence::new(2)), 10));
}

#[tokio::test]
async fn a_snapshot_by_hand_and_a_due_one_do_not_disturb_each_other() {
    let store = store().await;
    let id = stored_user(&store, "john", 2).await;
    let ctx = store.begin();
    let mut user = ctx.load(id).await.unwrap();
    ctx.save_snapshot(&user).unwrap();
    ctx.apply(&mut user, UserLoggedIn {}).unwrap();
    ctx.commit().await.unwrap();
    assert_eq!(snapshot_of(&store, id).await, Some(3), "saved before the last event, which was not due");
    assert_eq!(store.load(id).await.unwrap().logins, 3);

    let ctx = store.begin();
    let mut user = ctx.load(id).await.unwrap();
    ctx.save_snapshot(&user).unwrap();
    ctx.apply(&mut user, UserLoggedIn {}).unwrap();
    ctx.save_snapshot(&user).unwrap();
    ctx.apply(&mut user, UserLoggedIn {}).unwrap();
    ctx.commit().await.unwrap();
    assert_eq!(snapshot_of(&store, id).await, Some(6), "5 was crossed by the commit");
    assert_eq!(store.load(id).await.unwrap().logins, 5);
}

// A store that was put together from two backups may hold such a snapshot.
#[tokio::test]
async fn a_snapshot_beyond_the_last_event_is_damage() {
    let engine = MemoryEngine::new();
    let store = EventStore::open::<User>(engine.clone()).await.unwrap();
    let id = stored_user(&store, "john", 1).await;
    let snapshot = NewSnapshot {
        aggregate_id: id.untyped(),
        sequence: Sequence::new(9),
        fingerprint: User::SNAPSHOTS.fingerprint().unwrap(),
        payload: Payload::encode(&User { logins: 8, ..User::default() }).unwrap(),
    };
    let aggregate = AggregateChange {
        id: id.untyped(),
        type_id: engine.types().await.unwrap().aggregates[0].0,
        expected: Expected::At(Sequence::new(2)),
        version: Sequence::new(2),
        key: KeyChange::Keep,
    };
    let changes = Changes { aggregates: vec![aggregate], snapshots: vec![snapshot], ..Changes::default() };
    engine.commit(&changes).await.unwrap();
    let error = store.load(id).await.unwrap_err();
    assert!(matches!(&error, evercore::Error::Damaged { .. }), "{error}");
}
