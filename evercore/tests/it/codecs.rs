//! Events in JSON and in MessagePack, side by side and one after the other.

use std::{collections::BTreeMap, net::IpAddr};

use evercore::{
    Aggregate, Apply, Codec, Context, DecodeError, Error, Event, EventStore, LogFilter, Payload, Position,
    RawEvent, RecordedEvent, Sequence, event, state_event,
};
use evercore_memory::MemoryEngine;
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Renamed, Measured, Rich, Raw, RawPacked), snapshot_every = 3, snapshot_codec = msgpack)]
struct Probe {
    name: String,
    value: f64,
    #[serde(skip)]
    raw: String,
}

#[state_event(Probe)]
struct Renamed {
    name: String,
}

#[state_event(Probe, codec = msgpack)]
struct Measured {
    value: f64,
}

#[event(codec = msgpack)]
#[derive(PartialEq)]
#[serde(rename_all = "camelCase")]
struct Rich {
    #[serde(rename = "no")]
    number: u64,
    #[serde(default)]
    added_later: Option<String>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
    kind: Kind,
    bytes: Vec<u8>,
    by_place: BTreeMap<u32, i8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Kind {
    From { address: IpAddr },
}

#[event]
struct Raw {
    document: Box<RawValue>,
}

#[event(codec = msgpack)]
struct RawPacked {
    document: Box<RawValue>,
}

impl Apply<Rich> for Probe {
    fn apply(&mut self, _: &Rich) {}
}

impl Apply<Raw> for Probe {
    fn apply(&mut self, event: &Raw) {
        event.document.get().clone_into(&mut self.raw);
    }
}

impl Apply<RawPacked> for Probe {
    fn apply(&mut self, _: &RawPacked) {}
}

async fn store() -> EventStore {
    EventStore::open::<Probe>(MemoryEngine::new()).await.unwrap()
}

async fn log(store: &EventStore) -> Vec<RecordedEvent> {
    store.log(LogFilter::new(), Position::START).into_stream().try_collect().await.unwrap()
}

fn rich() -> Rich {
    Rich {
        number: u64::MAX,
        added_later: None,
        more: BTreeMap::from([("else".to_owned(), json!([1, null, { "deep": 0.1 }]))]),
        kind: Kind::From { address: IpAddr::from([192, 0, 2, 1]) },
        bytes: vec![0, 255],
        by_place: BTreeMap::from([(7, -7)]),
    }
}

#[tokio::test]
async fn both_codecs_live_in_one_log() {
    let store = store().await;
    let create = async |ctx: Context| {
        let mut probe = ctx.create::<Probe>().await?;
        ctx.apply(&mut probe, Renamed { name: "a".to_owned() })?;
        ctx.apply(&mut probe, Measured { value: 0.1 })?;
        Ok(probe.id())
    };
    let id = store.with_context(create).await.unwrap();
    let events = log(&store).await;
    let codecs: Vec<_> = events.iter().map(|event| event.payload().codec).collect();
    assert_eq!(codecs, [Codec::JSON, Codec::MESSAGE_PACK]);
    assert_eq!(events[1].payload().bytes, b"\x81\xa5value\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a");
    let probe = store.load(id).await.unwrap();
    assert_eq!((probe.name.as_str(), probe.value), ("a", 0.1));
}

#[tokio::test]
async fn an_event_may_change_its_codec_over_the_years() {
    let store = store().await;
    let ctx = store.begin();
    let probe = ctx.create::<Probe>().await.unwrap();
    // What earlier versions wrote: each in the codec of the other.
    let packed = Payload::encode_as(Codec::MESSAGE_PACK, &json!({ "name": "old" })).unwrap();
    let id = probe.id();
    ctx.publish(id, Sequence::NONE, RawEvent::new("Renamed", packed)).await.unwrap();
    ctx.publish(id, Sequence::new(1), RawEvent::from_json("Measured", r#"{"value":2.5}"#)).await.unwrap();
    ctx.commit().await.unwrap();
    let probe = store.load(probe.id()).await.unwrap();
    assert_eq!((probe.name.as_str(), probe.value), ("old", 2.5));
}

#[test]
fn what_serde_is_told_holds_in_both() {
    for codec in [Codec::JSON, Codec::MESSAGE_PACK] {
        let payload = Payload::encode_as(codec, &rich()).unwrap();
        assert_eq!(payload.decode::<Rich>().unwrap(), rich(), "{codec}");
        let expected = json!({
            "no": u64::MAX,
            "addedLater": null,
            "else": [1, null, { "deep": 0.1 }],
            "kind": { "type": "From", "address": "192.0.2.1" },
            "bytes": [0, 255],
            "byPlace": { "7": -7 },
        });
        let json: Value = serde_json::from_str(&payload.to_json().unwrap()).unwrap();
        assert_eq!(json, expected, "{codec}");
        // A field that was added, and one that is gone.
        let mut old = expected.as_object().unwrap().clone();
        old.remove("addedLater");
        old.remove("byPlace");
        old.insert("byPlace".to_owned(), json!({}));
        let old = Payload::encode_as(codec, &old).unwrap().decode::<Rich>().unwrap();
        assert_eq!((old.added_later, old.by_place.len()), (None, 0), "{codec}");
    }
}

#[tokio::test]
async fn numbers_that_are_not_finite_are_kept_by_message_pack_alone() {
    let store = store().await;
    let ctx = store.begin();
    let mut probe = ctx.create::<Probe>().await.unwrap();
    ctx.apply(&mut probe, Measured { value: f64::NEG_INFINITY }).unwrap();
    ctx.commit().await.unwrap();
    assert_eq!(store.load(probe.id()).await.unwrap().value, f64::NEG_INFINITY);
    assert_eq!(log(&store).await[0].payload().to_json().unwrap(), r#"{"value":null}"#);
}

#[tokio::test]
async fn json_within_an_event_stays_as_it_was_written() {
    let store = store().await;
    let text = "{ \"b\" : 1.50,\n\"a\":\t1e2, \"b\": 2 }";
    let ctx = store.begin();
    let mut probe = ctx.create::<Probe>().await.unwrap();
    let document: Box<RawValue> = serde_json::from_str(text).unwrap();
    ctx.apply(&mut probe, Raw { document: document.clone() }).unwrap();
    let error = ctx.apply(&mut probe, RawPacked { document }).unwrap_err();
    assert!(matches!(error, Error::Encode { .. }), "{error:?}");
    ctx.commit().await.unwrap();
    assert_eq!(store.load(probe.id()).await.unwrap().raw, text);
    let stored = log(&store).await.remove(0);
    assert_eq!(stored.payload().as_json_text(), Some(format!("{{\"document\":{text}}}").as_str()));
    assert_eq!(stored.payload().to_json().unwrap(), format!("{{\"document\":{text}}}"));
}

#[tokio::test]
async fn a_snapshot_is_written_in_its_codec_and_read_in_any() {
    let store = store().await;
    let ctx = store.begin();
    let mut probe = ctx.create::<Probe>().await.unwrap();
    for number in 0..3_u8 {
        ctx.apply(&mut probe, Measured { value: number.into() }).unwrap();
    }
    ctx.commit().await.unwrap();
    let snapshot = store.begin().history(probe.id()).await.unwrap().snapshot.expect("there is one");
    assert_eq!(snapshot.payload.codec, Codec::MESSAGE_PACK);
    assert_eq!(store.load(probe.id()).await.unwrap().value, 2.0);
}

#[test]
fn what_is_not_of_its_codec_is_an_error() {
    let of = |codec, bytes: &[u8]| Payload::new(codec, bytes.to_vec()).decode::<Value>();
    assert!(matches!(of(Codec::MESSAGE_PACK, b"\x81\xa5valu"), Err(DecodeError::Shape(_))));
    assert!(matches!(of(Codec::MESSAGE_PACK, b""), Err(DecodeError::Shape(_))));
    let error = of(Codec::MESSAGE_PACK, b"\xc0\xc0").unwrap_err();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "there are bytes after the end of the value"
    );
    // It announces more than there is.
    for hostile in [
        &b"\xdf\xff\xff\xff\xff"[..],
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
    ] {
        assert!(matches!(of(Codec::MESSAGE_PACK, hostile), Err(DecodeError::Shape(_))), "{hostile:?}");
    }
    assert_eq!(
        of(Codec::new(77), b"{}").unwrap_err().to_string(),
        "codec 77 is not known to this version of the library"
    );
    assert!(Payload::new(Codec::MESSAGE_PACK, vec![0xc0]).as_json_text().is_none());
    assert_eq!(Measured::CODEC, Codec::MESSAGE_PACK);
}

/// An older version, whose events were JSON or MessagePack.
mod older {
    #[evercore::event(name = "Made")]
    pub(super) struct MadeV1 {
        pub(super) name: String,
    }

    #[evercore::event(name = "Packed", codec = msgpack)]
    pub(super) struct PackedV1 {
        pub(super) name: String,
    }
}

#[event(codec = msgpack, upcasts(older::MadeV1))]
struct MadeNow {
    first_name: String,
}

#[event(upcasts(older::PackedV1, "Forgotten" with from_json))]
struct PackedNow {
    first_name: String,
}

impl From<older::MadeV1> for MadeNow {
    fn from(old: older::MadeV1) -> Self {
        Self { first_name: old.name }
    }
}

impl From<older::PackedV1> for PackedNow {
    fn from(old: older::PackedV1) -> Self {
        Self { first_name: old.name }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is given")]
fn from_json(old: Value) -> Result<PackedNow, String> {
    let name = old["by_place"]["7"].as_str().ok_or_else(|| format!("no name in {old}"))?;
    Ok(PackedNow { first_name: name.to_owned() })
}

#[derive(Default, Aggregate)]
#[aggregate(events(MadeNow, PackedNow), snapshot = off)]
struct Person {
    names: Vec<String>,
}

impl Apply<MadeNow> for Person {
    fn apply(&mut self, event: &MadeNow) {
        self.names.push(event.first_name.clone());
    }
}

impl Apply<PackedNow> for Person {
    fn apply(&mut self, event: &PackedNow) {
        self.names.push(event.first_name.clone());
    }
}

#[tokio::test]
async fn older_forms_are_upcast_from_one_codec_to_the_other() {
    let store = EventStore::open::<Person>(MemoryEngine::new()).await.unwrap();
    let ctx = store.begin();
    let person = ctx.create::<Person>().await.unwrap();
    let packed = |name: &str, value: &Value| {
        // Keys that are numbers, which JSON does not have.
        let keyed: BTreeMap<&str, BTreeMap<u8, &Value>> =
            BTreeMap::from([("by_place", BTreeMap::from([(7, value)]))]);
        RawEvent::new(name, Payload::encode_as(Codec::MESSAGE_PACK, &keyed).unwrap())
    };
    let two =
        RawEvent::new("Packed", Payload::encode_as(Codec::MESSAGE_PACK, &json!({ "name": "two" })).unwrap());
    let events =
        [RawEvent::from_json("Made", r#"{"name":"one"}"#), two, packed("Forgotten", &json!("three"))];
    for (sequence, event) in (0..).zip(events) {
        ctx.publish(person.id(), Sequence::new(sequence), event).await.unwrap();
    }
    ctx.commit().await.unwrap();
    assert_eq!(store.load(person.id()).await.unwrap().names, ["one", "two", "three"]);
}
