//! Replay, through the store: what is loaded is what was there.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Harness,
    fixtures::id_of,
    samples::{Account, deposit, deposit_once, open, stored_account},
};
use crate::{
    Aggregate, AggregateId, Codec, Context, EventOptions, EventStore, Fingerprint, Metadata, Payload, Replay,
    Sequence,
    engine::{AggregateChange, Changes, Expected, KeyChange, NewSnapshot, StorageEngine},
};

pub(super) async fn without_a_snapshot_all_events_are_replayed<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 3).await;
    let account = store.load(id).await.unwrap();
    assert_eq!(account.replay(), replayed(None, 4));
    assert_eq!((account.owner.as_str(), account.balance), ("ada", 3));
}

pub(super) async fn after_a_snapshot_only_later_events_are_replayed<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 4).await;
    deposit_once(&store, id).await.unwrap();
    let account = store.load(id).await.unwrap();
    assert_eq!(account.replay(), replayed(Some(5), 1));
    assert_eq!((account.owner.as_str(), account.balance), ("ada", 5));
}

pub(super) async fn a_snapshot_by_hand_is_used<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 1).await;
    store.with_context(async |ctx| ctx.save_snapshot(&ctx.load(id).await?)).await.unwrap();
    let account = store.load(id).await.unwrap();
    assert_eq!(account.replay(), replayed(Some(2), 0));
    assert_eq!((account.owner.as_str(), account.balance), ("ada", 1));
}

pub(super) async fn a_snapshot_that_fits_is_what_counts<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 1).await;
    put_snapshot::<H>(&store, id, fitting(), state()).await;
    let account = store.load(id).await.unwrap();
    assert_eq!((account.owner.as_str(), account.balance), ("snapshot", 99));
}

pub(super) async fn a_snapshot_of_another_shape_is_ignored<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 1).await;
    let other = Fingerprint::new(fitting().get().wrapping_add(1));
    put_snapshot::<H>(&store, id, other, state()).await;
    assert_replayed_in_full(&store, id).await;
}

pub(super) async fn a_snapshot_that_cannot_be_decoded_is_ignored<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 1).await;
    let broken = [
        Payload::new(Codec::JSON, b"{\"owner\":".to_vec()),
        Payload::new(Codec::JSON, b"[]".to_vec()),
        Payload::new(Codec::JSON, vec![0xff]),
        Payload::new(Codec::new(77), b"{}".to_vec()),
    ];
    for payload in broken {
        put_snapshot::<H>(&store, id, fitting(), payload).await;
        assert_replayed_in_full(&store, id).await;
    }
}

/// Everything is there, nothing is the default state, and it can go on.
async fn assert_replayed_in_full(store: &EventStore, id: AggregateId<Account>) {
    let account = store.load(id).await.unwrap();
    assert_eq!(account.replay(), replayed(None, 2));
    assert_eq!((account.owner.as_str(), account.balance), ("ada", 1));
    assert_eq!(account.sequence(), Sequence::new(2));
}

pub(super) async fn nanoseconds_are_cut_off_live_and_replayed<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let times =
        ["2026-01-02T03:04:05.123456789Z", "1969-12-31T23:59:58.000000999Z", "0001-01-01T00:00:00.9999999Z"];
    for (index, time) in times.into_iter().enumerate() {
        let time: DateTime<Utc> = time.parse().unwrap();
        let ctx = store.begin();
        let mut live = ctx.create_with_key::<Account>(format!("account {index}")).await.unwrap();
        ctx.apply_with(&mut live, deposit(), EventOptions::new().at(time)).unwrap();
        ctx.commit().await.unwrap();

        let latest = live.latest.unwrap();
        assert_eq!(latest.timestamp_subsec_nanos() % 1000, 0);
        assert!(time - latest < TimeDelta::microseconds(1) && latest <= time, "{latest} is {time}, cut off");
        let replayed = store.load(live.id()).await.unwrap();
        assert_eq!(replayed.state(), live.state());
    }
}

pub(super) async fn options_of_an_event_come_back<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let metadata = Metadata::new().with("user", "\u{1f600} \u{202e}").with_correlation_id("request-7");
    let work = async |ctx: Context| {
        let mut account = ctx.create::<Account>().await?;
        let options = EventOptions::new().reference("invoice \u{d7ff}\u{e000}").metadata(metadata.clone());
        ctx.apply_with(&mut account, deposit(), options)?;
        ctx.apply(&mut account, deposit())?;
        Ok(account.id())
    };
    let id = store.with_context(work).await.unwrap();
    let events = store.begin().history(id).await.unwrap().events;
    assert_eq!(events[0].reference(), Some("invoice \u{d7ff}\u{e000}"));
    assert_eq!(events[0].metadata(), &metadata);
    assert_eq!((events[1].reference(), events[1].metadata()), (None, &Metadata::new()));
}

pub(super) async fn after_a_restart_everything_goes_on<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 5).await;
    store.close().await.unwrap();

    let store = open(&harness).await;
    deposit_once(&store, id).await.unwrap();
    let account = store.load_by_key::<Account>("ada").await.unwrap();
    assert_eq!((account.id(), account.sequence(), account.balance), (id, Sequence::new(7), 6));
    let next = stored_account(&store, "eve", 0).await;
    assert!(next > id, "ids are not used again");
}

fn replayed(snapshot: Option<i64>, events: u64) -> Replay {
    Replay { snapshot: snapshot.map(Sequence::new), events }
}

fn fitting() -> Fingerprint {
    Account::SNAPSHOTS.fingerprint().unwrap()
}

/// A state that no events lead to.
fn state() -> Payload {
    Payload::encode(&Account { owner: "snapshot".to_owned(), balance: 99, latest: None }).unwrap()
}

/// Stores a snapshot of the second event, past the store.
async fn put_snapshot<H: Harness>(
    store: &EventStore,
    id: AggregateId<Account>,
    fingerprint: Fingerprint,
    payload: Payload,
) {
    let engine = store.engine::<H::Engine>().unwrap();
    let (id, version) = (id.untyped(), Sequence::new(2));
    let type_id = id_of(&engine.types().await.unwrap().aggregates, Account::NAME);
    let expected = Expected::At(version);
    let changes = Changes {
        aggregates: vec![AggregateChange { id, type_id, expected, version, key: KeyChange::Keep }],
        snapshots: vec![NewSnapshot { aggregate_id: id, sequence: version, fingerprint, payload }],
        ..Changes::default()
    };
    engine.commit(&changes).await.unwrap();
}
