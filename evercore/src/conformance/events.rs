//! Events: what they carry comes back as it was.

use super::{
    Harness,
    fixtures::{AWKWARD_TEXTS, Sample, numbers, sequences},
};
use crate::{
    Codec, Payload, Position, Sequence,
    engine::{StoredEvent, Timestamp},
};

pub(super) async fn every_field_comes_back<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    let time = Timestamp::from_micros(1_234_567_890_123_456).unwrap();
    let draft = sample.draft().create_of(sample.types.order, id).event(|event| {
        event.event_type = sample.types.changed;
        event.time = time;
        event.reference = Some("invoice 17".to_owned());
        event.metadata = Some(r#"{"b":1,"a":["x",null]}"#.to_owned());
        event.payload = Payload::new(Codec::JSON, br#"{"z":1.50,"a":"b"}"#.to_vec());
    });
    let committed = sample.write(draft).await;

    let expected = StoredEvent {
        position: committed.last_position.unwrap(),
        aggregate_id: id,
        aggregate_type: sample.types.order,
        event_type: sample.types.changed,
        sequence: Sequence::new(1),
        time,
        recorded_at: committed.committed_at,
        reference: Some("invoice 17".to_owned()),
        metadata: Some(r#"{"b":1,"a":["x",null]}"#.to_owned()),
        payload: Payload::new(Codec::JSON, br#"{"z":1.50,"a":"b"}"#.to_vec()),
    };
    let events = sample.whole(id).await.events;
    assert_eq!(events, [expected]);
    assert_eq!(sample.log().await, events);
}

pub(super) async fn reference_and_metadata_may_be_missing_or_empty<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    let draft = sample.draft().create(id).events(1).event(|event| {
        event.reference = Some(String::new());
        event.metadata = Some("{}".to_owned());
    });
    sample.write(draft).await;
    let events = sample.whole(id).await.events;
    assert_eq!((&events[0].reference, &events[0].metadata), (&None, &None));
    assert_eq!((&events[1].reference, &events[1].metadata), (&Some(String::new()), &Some("{}".to_owned())));
}

pub(super) async fn awkward_texts_come_back<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    let metadata = |text: &str| serde_json::json!({ text: text }).to_string();
    let draft = AWKWARD_TEXTS.iter().fold(sample.draft().create(id), |draft, text| {
        draft.event(|event| {
            event.reference = Some((*text).to_owned());
            event.metadata = Some(metadata(text));
            event.payload = Payload::encode(text).unwrap();
        })
    });
    sample.write(draft).await;

    let events = sample.whole(id).await.events;
    assert_eq!(sample.log().await, events);
    for (event, text) in events.iter().zip(AWKWARD_TEXTS) {
        assert_eq!(event.reference.as_deref(), Some(*text));
        assert_eq!(event.metadata, Some(metadata(text)));
        assert_eq!(event.payload, Payload::encode(text).unwrap());
    }
}

pub(super) async fn long_texts_come_back<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    let (reference, large) = ("r".repeat(65_535), Payload::encode(&"\u{1f600}".repeat(300_000)).unwrap());
    let draft = sample.draft().create(id).event(|event| {
        event.reference = Some(reference.clone());
        event.payload = large.clone();
    });
    sample.write(draft).await;
    let event = sample.whole(id).await.events.remove(0);
    assert_eq!(event.reference, Some(reference));
    assert!(event.payload == large, "a payload of 1.2 MB comes back");
}

pub(super) async fn bytes_of_other_codecs_come_back<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    let payloads = [
        Payload::new(Codec::new(2), (0..=255).collect()),
        Payload::new(Codec::new(i16::MAX), vec![0xff, 0xfe, 0xed, 0xa0, 0x80, 0x00]),
        Payload::new(Codec::new(2), Vec::new()),
        Payload::new(Codec::new(-1), b"null".to_vec()),
    ];
    let draft = payloads.iter().fold(sample.draft().create(id), |draft, payload| {
        draft.event(|event| event.payload = payload.clone())
    });
    sample.write(draft).await;
    let loaded = sample.whole(id).await.events.into_iter().map(|event| event.payload);
    assert_eq!(loaded.collect::<Vec<_>>(), payloads);
}

pub(super) async fn times_before_1970_and_microseconds_come_back<H: Harness>(harness: H) {
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    // Among them years 1 and 9999, and the microseconds around the epoch.
    let times = [-62_135_596_800_000_000, -1_000_001, -1, 0, 1, 999_999, 253_402_300_799_999_999]
        .map(|micros| Timestamp::from_micros(micros).unwrap());
    let draft =
        times.iter().fold(sample.draft().create(id), |draft, time| draft.event(|event| event.time = *time));
    sample.write(draft).await;
    let loaded = sample.whole(id).await.events.into_iter().map(|event| event.time);
    assert_eq!(loaded.collect::<Vec<_>>(), times);
}

pub(super) async fn ten_thousand_in_one_commit<H: Harness>(harness: H) {
    const COUNT: usize = 10_000;
    let sample = Sample::open(&harness).await;
    let id = sample.new_id().await;
    let committed = sample.write(sample.draft().create(id).events(COUNT)).await;

    let loaded = sample.whole(id).await;
    assert_eq!(sequences(&loaded.events), numbers(1, COUNT as i64));
    assert!(loaded.events.iter().all(|event| event.recorded_at == committed.committed_at));
    assert_eq!(loaded.events.last().map(|event| event.position), committed.last_position);
    assert!(sample.log().await == loaded.events, "the log has the same events");
    assert!(loaded.events[0].position > Position::START);
}
