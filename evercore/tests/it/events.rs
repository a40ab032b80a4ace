//! What comes with events, and what is refused.

use chrono::{DateTime, Utc};
use evercore::{
    Aggregate, Apply, Error, EventInfo, EventOptions, EventStore, InvalidText, Metadata, NaturalKey, Payload,
    RawEvent, Sequence, engine::Timestamp, event,
};
use evercore_memory::MemoryEngine;

use crate::domain::{
    Account, Deposited, Diary, Domain, DomainEvent, Noted, User, UserEvent, UserLoggedIn, Withdrawn, store,
    stored_user,
};

fn precise() -> DateTime<Utc> {
    "2026-03-01T12:00:00.123456789Z".parse().unwrap()
}

#[tokio::test]
async fn time_reference_and_metadata_reach_apply_live_and_replayed_alike() {
    let store = store().await;
    let ctx = store.begin();
    let mut diary = ctx.create::<Diary>().await.unwrap();
    let metadata =
        Metadata::new().with_correlation_id("request-7").with_causation_id("command-3").with("n", 1);
    let options = EventOptions::new().at(precise()).reference("page 3").metadata(metadata.clone());
    ctx.apply_with(&mut diary, Noted("one".into()), options).unwrap();
    ctx.apply(&mut diary, Noted("two".into())).unwrap();
    ctx.commit().await.unwrap();

    let loaded = store.load(diary.id()).await.unwrap();
    assert_eq!(loaded.state(), diary.state());
    let [one, two] = &loaded.entries[..] else { panic!("{loaded:?}") };
    assert_eq!(one.time, "2026-03-01T12:00:00.123456Z".parse::<DateTime<Utc>>().unwrap());
    assert_eq!((one.sequence, one.reference.as_deref()), (1, Some("page 3")));
    assert_eq!((two.sequence, two.reference.as_deref()), (2, None));
    assert_eq!(one.correlation.as_deref(), Some("request-7"));

    let history = store.read_only().history(diary.id()).await.unwrap();
    let stored = &history.events[0];
    assert_eq!((stored.time(), stored.reference()), (one.time, Some("page 3")));
    assert_eq!(stored.metadata(), &metadata);
    assert_eq!(stored.metadata().causation_id(), Some("command-3"));
    assert_eq!(stored.info().recorded_at(), Some(stored.recorded_at()));
}

#[tokio::test]
async fn a_unit_gives_its_events_what_they_lack() {
    let store = store().await;
    let unit = store
        .unit()
        .at(precise())
        .reference("batch")
        .metadata(Metadata::new().with_correlation_id("c").with("from", "unit"));
    let (id, _) = unit
        .run(async |ctx| {
            let mut diary = ctx.create::<Diary>().await?;
            ctx.apply(&mut diary, Noted("plain".into()))?;
            let own = EventOptions::new().reference("own").metadata(Metadata::new().with("from", "event"));
            ctx.apply_with(&mut diary, Noted("own".into()), own)?;
            Ok(diary.id())
        })
        .await
        .unwrap();
    let events = store.read_only().history(id).await.unwrap().events;
    assert_eq!((events[0].reference(), events[1].reference()), (Some("batch"), Some("own")));
    assert_eq!(events[0].time(), events[1].time());
    let from = |index: usize| events[index].metadata().get("from").and_then(|from| from.as_str());
    assert_eq!((from(0), from(1)), (Some("unit"), Some("event")));
    assert_eq!(events[1].metadata().correlation_id(), Some("c"));
}

#[tokio::test]
async fn a_refused_event_leaves_aggregate_and_context_as_they_were() {
    let store = store().await;
    let ctx = store.begin();
    let mut account = ctx.create::<Account>().await.unwrap();
    ctx.apply(&mut account, Deposited(10)).unwrap();
    let error = ctx.apply(&mut account, Withdrawn(11)).unwrap_err();
    assert_eq!(error.to_string(), format!("Withdrawn would make Account {} invalid", account.id()));
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "overdrawn by 1");
    assert_eq!((account.balance(), account.sequence().get()), (10, 1));
    ctx.apply(&mut account, Withdrawn(10)).unwrap();
    assert_eq!(ctx.commit().await.unwrap().aggregates()[0].sequence.get(), 2);

    // Of an aggregate that was only loaded nothing is left that would be checked at commit.
    let ctx = store.begin();
    let mut copy = ctx.load(account.id()).await.unwrap();
    ctx.apply(&mut copy, Withdrawn(1)).unwrap_err();
    store
        .with_context(async |other| {
            let mut account = other.load(account.id()).await?;
            other.apply(&mut account, Deposited(1))
        })
        .await
        .unwrap();
    ctx.commit().await.unwrap();
}

#[tokio::test]
async fn texts_with_nul_or_over_their_limit_are_refused_with_both_lengths() {
    let store = store().await;
    let ctx = store.begin();
    let error = ctx.create_with_key::<User>("x".repeat(256)).await.unwrap_err();
    assert_eq!(error.to_string(), "natural key is 256 bytes long, the limit is 255");
    let error = ctx.create_with_key::<User>("").await.unwrap_err();
    assert_eq!(error.to_string(), "natural key is empty");
    let error = store.load_by_key::<User>("a\0b").await.unwrap_err();
    assert_eq!(error.to_string(), "natural key contains U+0000 at byte 1");
    let mut diary = ctx.create::<Diary>().await.unwrap();
    let options = EventOptions::new().reference("a\0");
    let error = ctx.apply_with(&mut diary, Noted("x".into()), options).unwrap_err();
    assert!(matches!(error, Error::InvalidText(InvalidText::Nul { what: "reference", at: 1 })));
    assert!(diary.entries.is_empty());
    // 255 bytes are fine, and U+0000 is fine inside a payload.
    let mut longest = ctx.create_with_key::<Diary>("ä".repeat(127) + "x").await.unwrap();
    ctx.apply(&mut longest, Noted("nul \0".into())).unwrap();
    ctx.commit().await.unwrap();
    assert_eq!(store.load(longest.id()).await.unwrap().entries[0].text, "nul \0");
}

#[tokio::test]
async fn raw_events_are_published_and_checked() {
    let store = store().await;
    let id = stored_user(&store, "john", 1).await;
    let ctx = store.begin();
    let login = || RawEvent::from_json("UserLoggedIn", "{}");
    ctx.publish(id, Sequence::new(2), login().with_options(EventOptions::new().reference("raw")))
        .await
        .unwrap();
    ctx.publish(id, Sequence::new(3), login()).await.unwrap();
    assert_eq!(ctx.load(id).await.unwrap().logins, 3);

    let error = ctx.publish(id, Sequence::new(3), login()).await.unwrap_err();
    assert!(matches!(error, Error::StaleCopy { .. }), "{error}");
    let error = ctx.publish(id, Sequence::new(4), RawEvent::from_json("Nonsense", "{}")).await.unwrap_err();
    assert!(matches!(error, Error::UnknownEventType { .. }), "{error}");
    let error =
        ctx.publish(id, Sequence::new(4), RawEvent::from_json("UserCreated", "{}")).await.unwrap_err();
    assert!(matches!(error, Error::Decode { .. }), "{error}");
    let nobody = evercore::AggregateId::<User>::new(4711);
    assert!(ctx.publish(nobody, Sequence::NONE, login()).await.unwrap_err().is_not_found());

    let receipt = ctx.commit().await.unwrap();
    assert_eq!(receipt.aggregates()[0].key.as_ref().map(NaturalKey::as_str), Some("john"));
    let history = store.read_only().history(id).await.unwrap();
    assert_eq!(history.events[2].reference(), Some("raw"));
    assert_eq!(store.load(id).await.unwrap().logins, 3);

    let ctx = store.begin();
    let error = ctx.publish(id, Sequence::new(3), login()).await.unwrap_err();
    assert!(matches!(error, Error::StaleCopy { .. }), "{error}");
}

#[tokio::test]
async fn the_raw_history_has_snapshot_and_all_events() {
    let store = store().await;
    let id = stored_user(&store, "john", 6).await;
    let history = store.read_only().history(id).await.unwrap();
    assert_eq!((history.aggregate_type.as_str(), history.version.get()), ("User", 7));
    assert_eq!(history.key.as_ref().map(NaturalKey::as_str), Some("john"));
    let sequences: Vec<_> = history.events.iter().map(|event| event.sequence().get()).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6, 7]);
    let snapshot = history.snapshot.unwrap();
    assert_eq!(snapshot.sequence.get(), 7);
    assert_eq!(snapshot.payload.decode::<User>().unwrap().logins, 6);
}

#[tokio::test]
async fn recorded_events_decode_by_aggregate_by_registry_and_alone() {
    let store = store().await;
    let id = stored_user(&store, "john", 1).await;
    let events = store.read_only().history(id).await.unwrap().events;
    assert!(
        matches!(events[0].decode::<User>().unwrap(), UserEvent::UserCreated(event) if event.username == "john")
    );
    let decoded = events[1].decode::<Domain>().unwrap();
    assert!(matches!(decoded, DomainEvent::User(UserEvent::UserLoggedIn(_))));
    assert!(events[1].decode_event::<UserLoggedIn>().unwrap().is_some());
    assert!(events[1].decode_event::<Deposited>().unwrap().is_none());
    assert!(matches!(events[1].decode::<Account>(), Err(Error::UnknownEventType { .. })));
}

#[tokio::test]
async fn ten_thousand_events_in_one_context() {
    let store = store().await;
    let id = stored_user(&store, "john", 10_500).await;
    let user = store.load(id).await.unwrap();
    assert_eq!((user.logins, user.sequence().get()), (10_500, 10_501));
    let ctx = store.begin();
    let mut account = ctx.create::<Account>().await.unwrap();
    for _ in 0..10_001 {
        ctx.apply(&mut account, Deposited(1)).unwrap();
    }
    ctx.commit().await.unwrap();
    // More than one page, and no snapshot to start from.
    let loaded = store.load(account.id()).await.unwrap();
    assert_eq!((loaded.balance(), loaded.replay().events), (10_001, 10_001));
    assert_eq!(store.read_only().history(account.id()).await.unwrap().events.len(), 10_001);
}

#[tokio::test]
async fn numbers_are_read_back_as_they_were_written() {
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..10_000 {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = f64::from_bits(bits);
        if number.is_finite() {
            let read: f64 = Payload::encode(&number).unwrap().decode().unwrap();
            assert_eq!(read.to_bits(), number.to_bits(), "{number:e}");
        }
    }
}

#[event]
struct Measured {
    value: f64,
    remark: Option<String>,
}

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Measured), snapshot = off)]
struct Probe {
    last: f64,
    remarks: usize,
}

impl Apply<Measured> for Probe {
    fn apply(&mut self, event: &Measured) {
        self.last = event.value;
        self.remarks += event.remark.iter().count();
    }
}

// JSON has no NaN. Written as `null`, it would make the aggregate unreadable for ever.
#[tokio::test]
async fn an_event_that_cannot_be_read_back_is_refused() {
    let store = store().await;
    let ctx = store.begin();
    let mut probe = ctx.create::<Probe>().await.unwrap();
    let error = ctx.apply(&mut probe, Measured { value: f64::NAN, remark: None }).unwrap_err();
    assert!(matches!(error, Error::Encode { what: "Measured", .. }), "{error}");
    assert_eq!((probe.last, probe.sequence()), (0.0, Sequence::NONE));
    ctx.apply(&mut probe, Measured { value: 0.1, remark: None }).unwrap();
    ctx.apply(&mut probe, Measured { value: 0.3, remark: Some("null".into()) }).unwrap();
    ctx.commit().await.unwrap();
    let probe = store.load(probe.id()).await.unwrap();
    assert_eq!((probe.last, probe.remarks), (0.3, 1));
}

// A leap second has no number of its own among the microseconds since 1970.
#[tokio::test]
async fn a_leap_second_is_the_same_live_and_replayed() {
    let time: DateTime<Utc> = "2016-12-31T23:59:60.5Z".parse().unwrap();
    let kept = Timestamp::from(time);
    assert_eq!(Timestamp::from_micros(kept.micros()), Some(kept));
    assert_eq!(kept.to_string(), "2017-01-01T00:00:00.500Z");
    for extreme in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, precise()] {
        let kept = Timestamp::from(extreme);
        assert_eq!(Timestamp::from_micros(kept.micros()), Some(kept));
    }
}

/// An aggregate that looks at what an event has from the library alone.
#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Seen), snapshot = off)]
struct Witness {
    time: Option<DateTime<Utc>>,
    recorded_at: Option<DateTime<Utc>>,
}

#[event]
struct Seen {}

impl Apply<Seen> for Witness {
    fn apply(&mut self, _event: &Seen) {}

    fn apply_with(&mut self, _event: &Seen, info: &EventInfo) {
        self.time = Some(info.time());
        self.recorded_at = info.recorded_at();
    }
}

#[tokio::test]
async fn the_time_of_an_event_is_now_and_the_recorded_time_comes_with_the_store() {
    let store = store().await;
    let ctx = store.begin();
    let mut witness = ctx.create::<Witness>().await.unwrap();
    let before = Timestamp::now();
    ctx.apply(&mut witness, Seen {}).unwrap();
    let time = witness.time.unwrap();
    assert!(DateTime::from(before) <= time && time <= Utc::now(), "{time}");
    assert_eq!((witness.recorded_at, ctx.load(witness.id()).await.unwrap().recorded_at), (None, None));
    let receipt = ctx.commit().await.unwrap();

    let loaded = store.load(witness.id()).await.unwrap();
    assert_eq!((loaded.time, loaded.recorded_at), (Some(time), Some(receipt.committed_at())));
}

/// The account before somebody thought of forbidding to overdraw it.
#[derive(Debug, Default, Aggregate)]
#[aggregate(name = "Account", events(Deposited, Withdrawn), snapshot = off)]
struct LenientAccount {
    balance: i64,
}

impl Apply<Deposited> for LenientAccount {
    fn apply(&mut self, event: &Deposited) {
        self.balance += event.0;
    }
}

impl Apply<Withdrawn> for LenientAccount {
    fn apply(&mut self, event: &Withdrawn) {
        self.balance -= event.0;
    }
}

#[tokio::test]
async fn a_stricter_rule_judges_new_events_and_not_what_is_loaded() {
    let engine = MemoryEngine::new();
    let before = EventStore::open::<LenientAccount>(engine.clone()).await.unwrap();
    let id = before
        .with_context(async |ctx| {
            let mut account = ctx.create::<LenientAccount>().await?;
            ctx.apply(&mut account, Withdrawn(10))?;
            Ok(account.id().untyped().typed::<Account>())
        })
        .await
        .unwrap();

    let ctx = EventStore::open::<Account>(engine).await.unwrap().begin();
    let mut account = ctx.load(id).await.unwrap();
    assert_eq!(account.balance(), -10);
    let still_invalid = ctx.apply(&mut account, Deposited(9)).unwrap_err();
    assert!(matches!(still_invalid, Error::Invalid { .. }), "{still_invalid}");
    ctx.apply(&mut account, Deposited(10)).unwrap();
    ctx.commit().await.unwrap();
}
