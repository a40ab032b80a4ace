//! What each version reads in the archive.

use std::{env, error::Error as _};

use futures_util::TryStreamExt as _;

use super::{
    ArchiveHarness, KEEP_VARIABLE,
    first::{self, Shelf},
    second, third,
};
use crate::{
    Aggregate, DecodeError, Error, EventStore, LogFilter, Position, RecordedEvent, Replay, Sequence,
    conformance::runs::{log, subscription},
};

#[doc(hidden)]
pub async fn the_archive_is_what_the_first_version_writes<H: ArchiveHarness>() {
    let made = H::create().await;
    let store = first::open(made.open().await).await;
    first::write(&store).await.unwrap();
    let written = contents(&store).await;
    store.close().await.unwrap();
    if env::var_os(KEEP_VARIABLE).is_some() {
        made.keep().await;
    }
    let restored = H::restore().await;
    let store = first::open(restored.open().await).await;
    assert_eq!(contents(&store).await, written);
}

/// What a store of the first version contains, without what differs from run to run.
async fn contents(store: &EventStore) -> Vec<String> {
    let describe = |event: RecordedEvent| {
        let time = event.time();
        let (id, sequence) = (event.aggregate_id(), event.sequence());
        let (aggregate, name, metadata) = (event.aggregate_type(), event.event_type(), event.metadata());
        let payload = event.payload();
        format!("{aggregate} {id} {sequence} {name} {time} {:?} {metadata:?} {payload:?}", event.reference())
    };
    let mut contents: Vec<_> = log(store).await.into_iter().map(describe).collect();
    for key in ["ada", "bob"] {
        contents.push(aggregate::<first::Customer>(store, key).await);
    }
    for key in ["pen", "vase"] {
        contents.push(aggregate::<first::Item>(store, key).await);
    }
    contents.push(aggregate::<Shelf>(store, "novels").await);
    contents
}

/// The aggregate with this key, and its snapshot.
async fn aggregate<A: Aggregate>(store: &EventStore, key: &str) -> String {
    let id = store.load_by_key::<A>(key).await.unwrap().id();
    let history = store.read_only().history(id).await.unwrap();
    format!("{key} {id} {:?}", history.snapshot)
}

/// Also its snapshots: what they depend on has not changed since.
#[doc(hidden)]
pub async fn the_first_version_still_reads_it<H: ArchiveHarness>() {
    let restored = H::restore().await;
    let store = first::open(restored.open().await).await;
    let ada = store.load_by_key::<first::Customer>("ada").await.unwrap();
    assert_eq!(ada.replay(), from_snapshot(4, 1));
    assert!(ada.newsletter);
    let (name, email, hint, address) = (&ada.name, &ada.email, &ada.hint, &ada.address);
    assert_eq!((name.as_str(), email.as_str()), ("Ada Lovelace", "ada@lovelace.org"));
    assert_eq!((hint.as_str(), address.as_str()), ("poet", "12 St James's Square, London"));
}

#[doc(hidden)]
pub async fn the_second_version_reads_it<H: ArchiveHarness>() {
    let restored = H::restore().await;
    let store = second::open(restored.open().await).await;
    let ada = store.load_by_key::<second::Client>("ada").await.unwrap();
    assert_eq!(ada.replay(), from_the_first(5), "its snapshot has a shape that is no more");
    assert_eq!((ada.first.as_str(), ada.last.as_str()), ("Ada", "Lovelace"));
    assert_eq!((ada.email.as_str(), ada.is_verified), ("ada@lovelace.org", false));
    assert_eq!((ada.hint.as_str(), ada.address.as_str()), ("poet", "12 St James's Square, London"));
    let pen = store.load_by_key::<second::Item>("pen").await.unwrap();
    assert_eq!((pen.cents, pen.currency.as_str()), (1305, "EUR"));
    assert_shelf_is_from_its_snapshot(&store).await;
}

#[doc(hidden)]
pub async fn the_third_version_reads_it<H: ArchiveHarness>() {
    let restored = H::restore().await;
    let store = third::open(restored.open().await).await;
    let ada = store.load_by_key::<third::Patron>("ada").await.unwrap();
    assert_eq!((ada.replay(), ada.sequence()), (from_the_first(5), Sequence::new(5)));
    assert_eq!((ada.sorted_as.as_str(), ada.city.as_str()), ("Lovelace, Ada", "London"));
    assert_eq!((ada.contact.as_str(), ada.is_verified), ("ada@lovelace.org", false));
    // The last of his events is one that is ignored.
    let bob = store.load_by_key::<third::Patron>("bob").await.unwrap();
    assert_eq!((bob.sequence(), bob.sorted_as.as_str()), (Sequence::new(2), "Bob"));
    let pen = store.load_by_key::<third::Item>("pen").await.unwrap();
    assert_eq!(pen.price, third::Price { cents: 1305, currency: "EUR".into() });
    assert_shelf_is_from_its_snapshot(&store).await;
}

/// A shape that has not changed has the same fingerprint for ever.
async fn assert_shelf_is_from_its_snapshot(store: &EventStore) {
    let shelf = store.load_by_key::<Shelf>("novels").await.unwrap();
    assert_eq!((shelf.replay(), shelf.state()), (from_snapshot(2, 1), &Shelf { books: 57 }));
}

fn from_the_first(events: u64) -> Replay {
    Replay { snapshot: None, events }
}

fn from_snapshot(sequence: i64, events: u64) -> Replay {
    Replay { snapshot: Some(Sequence::new(sequence)), events }
}

#[doc(hidden)]
pub async fn filters_by_new_names_find_old_events<H: ArchiveHarness>() {
    let restored = H::restore().await;
    let store = third::open(restored.open().await).await;
    let all = LogFilter::new();
    let found = [
        (all.clone().aggregate::<third::Patron>(), 7),
        (all.clone().key::<third::Patron>("ada"), 5),
        (all.clone().event::<third::PatronRegistered>(), 2),
        (all.clone().event::<third::ContactChanged>(), 2),
        (all.clone().event::<third::Moved>(), 1),
        (all.clone().aggregate::<third::Patron>().event::<third::Moved>(), 1),
        (all.event::<third::PriceSet>().event::<second::ClientRegisteredV1>(), 5),
    ];
    for (filter, expected) in found {
        let page = store.log(filter.clone(), Position::START).page(100).await.unwrap();
        assert_eq!(page.events.len(), expected, "{filter:?}");
    }
}

#[doc(hidden)]
pub async fn subscriptions_deliver_old_events_upcast<H: ArchiveHarness>() {
    let restored = H::restore().await;
    let store = third::open(restored.open().await).await;
    let patrons = subscription(&store).aggregate::<third::Patron>().decode::<third::Domain>();
    let mut stream = patrons.stream().await.unwrap();
    let (batch, acknowledge) = stream.try_next().await.unwrap().unwrap();
    let texts: Vec<_> = batch.iter().map(|decoded| text(&decoded.event)).collect();
    let expected = [
        "Lovelace, Ada registered",
        "contact ada@example.org",
        "ignored",
        "moved to 12 St James's Square in London",
        "contact ada@lovelace.org",
        "Bob registered",
        "ignored",
    ];
    assert_eq!(texts, expected);
    acknowledge.done().await.unwrap();

    let moves = store.ephemeral_subscription().event::<third::Moved>().decode::<third::Patron>();
    let mut stream = moves.start(crate::StartFrom::Beginning).stream().await.unwrap();
    let decoded = stream.try_next().await.unwrap().unwrap();
    assert_eq!(decoded.recorded.event_type(), "Moved", "what is stored stays");
    assert!(matches!(decoded.event, third::PatronEvent::Moved(moved) if moved.city == "London"));
}

/// Matches all that the third version knows.
fn text(event: &third::DomainEvent) -> String {
    use first::ShelfEvent;
    use third::{DomainEvent as Any, ItemEvent, PatronEvent};
    match event {
        Any::Patron(PatronEvent::PatronRegistered(event)) => format!("{} registered", event.sorted_as),
        Any::Patron(PatronEvent::ContactChanged(event)) => format!("contact {}", event.contact),
        Any::Patron(PatronEvent::Moved(event)) => format!("moved to {} in {}", event.street, event.city),
        Any::Patron(PatronEvent::Ignored) => "ignored".to_owned(),
        Any::Item(ItemEvent::PriceSet(event)) => format!("{} {}", event.price.cents, event.price.currency),
        Any::Shelf(ShelfEvent::BooksAdded(event)) => format!("{} books", event.books),
    }
}

#[doc(hidden)]
pub async fn raw_histories_are_decoded<H: ArchiveHarness>() {
    let restored = H::restore().await;
    let store = third::open(restored.open().await).await;
    let id = store.load_by_key::<third::Patron>("ada").await.unwrap().id();
    let history = store.read_only().history(id).await.unwrap();
    let names: Vec<_> = history.events.iter().map(RecordedEvent::event_type).collect();
    assert_eq!(names, ["CustomerRegistered", "EmailChanged", "HintGiven", "Moved", "EmailChanged"]);
    let [registered, changed, ..] = history.events.as_slice() else { panic!("five events") };
    let by_type = registered.decode_event::<third::PatronRegistered>().unwrap();
    assert_eq!(by_type, Some(third::PatronRegistered { sorted_as: "Lovelace, Ada".into() }));
    let older = registered.decode_event::<second::ClientRegisteredV1>().unwrap().unwrap();
    assert_eq!(older.name, "Ada Lovelace", "the form of that time, for those who ask for it");
    assert_eq!(changed.decode_event::<third::PatronRegistered>().unwrap(), None);
    assert_eq!(
        (registered.reference(), registered.metadata().correlation_id()),
        (Some("form 7"), Some("request-1"))
    );
}

#[doc(hidden)]
pub async fn a_failure_to_upcast_names_the_event_and_the_cause<H: ArchiveHarness>() {
    let restored = H::restore().await;
    let store = second::open(restored.open().await).await;
    assert_fortune(&store.load_by_key::<second::Item>("vase").await.unwrap_err());
    store.close().await.unwrap();
    // One step further on it is the same: the step that fails is the first of two.
    let store = third::open(restored.open().await).await;
    assert_fortune(&store.load_by_key::<third::Item>("vase").await.unwrap_err());
    let filter = LogFilter::new().aggregate::<third::Item>();
    let prices = store.log(filter, Position::START).page(100).await.unwrap().events;
    assert_fortune(&prices[2].decode::<third::Domain>().unwrap_err());
}

fn assert_fortune(error: &Error) {
    let Error::Decode { aggregate, sequence, event_type, source: DecodeError::Upcast(cause) } = error else {
        panic!("{error:?}");
    };
    assert_eq!((aggregate.aggregate_type(), sequence.get(), event_type.as_str()), ("Item", 1, "PriceSet"));
    assert_eq!(cause.to_string(), r#""a fortune" is not a price"#);
    assert!(error.source().is_some());
}
