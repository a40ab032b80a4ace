//! Several versions that write into one store, one after the other and side by side.

use super::{
    ArchiveHarness,
    first::{self, on_day},
    second,
    third::{self, Patron},
};
use crate::{
    AggregateId, Context, Error, EventStore, LogFilter, Position, RecordedEvent, Replay, Result, Sequence,
    conformance::runs::log,
};

#[doc(hidden)]
pub async fn the_third_version_reads_all_three_generations<H: ArchiveHarness>() {
    let restored = H::restore().await;
    let store = second::open(restored.open().await).await;
    store.with_context(async |ctx| write_second(&ctx).await).await.unwrap();
    store.close().await.unwrap();
    let store = third::open(restored.open().await).await;
    assert_all_is_there_before_the_third_writes(&store).await;
    store.with_context(async |ctx| write_third(&ctx).await).await.unwrap();
    store.close().await.unwrap();

    let store = third::open(restored.open().await).await;
    let ada = store.load_by_key::<Patron>("ada").await.unwrap();
    assert_eq!(ada.sequence(), Sequence::new(12));
    assert_eq!((ada.sorted_as.as_str(), ada.city.as_str()), ("Byron, Ada", "Marylebone"));
    assert_eq!((ada.contact.as_str(), ada.is_verified), ("ada@byron.org", true));
    // The snapshot of the second version was replaced.
    assert_eq!(ada.replay(), Replay { snapshot: Some(Sequence::new(12)), events: 0 });
    for (key, sorted_as, city) in [("cleo", "Minor, Cleo", "Rome"), ("dora", "Dora", "Paris")] {
        let patron = store.load_by_key::<Patron>(key).await.unwrap();
        assert_eq!((patron.sorted_as.as_str(), patron.city.as_str()), (sorted_as, city));
    }
    let pen = store.load_by_key::<third::Item>("pen").await.unwrap();
    assert_eq!((pen.sequence(), pen.price.cents), (Sequence::new(4), 1500));

    assert_eq!(
        names(&store, LogFilter::new().event::<third::PatronRegistered>()).await,
        [
            "CustomerRegistered",
            "CustomerRegistered",
            "ClientRegistered.v2",
            "ClientRegistered.v2",
            "PatronRegistered",
        ]
    );
    let prices = names(&store, LogFilter::new().key::<third::Item>("pen")).await;
    assert_eq!(prices, ["PriceSet", "PriceSet", "PriceSet.v2", "PriceSet.v3"]);
    // An aggregate type keeps the name under which it is stored, so that keys stay unique over all versions.
    let patrons = log(&store).await;
    let patrons =
        patrons.iter().filter(|event| event.decode_event::<third::PatronRegistered>().unwrap().is_some());
    assert!(patrons.into_iter().all(|event| event.aggregate_type() == "Customer"));
    for event in log(&store).await.iter().filter(|event| event.aggregate_type() == "Customer") {
        event.decode::<third::Domain>().unwrap();
    }
}

/// Goes on with what the first version stored, and adds something of its own.
async fn write_second(ctx: &Context) -> Result<()> {
    let mut ada = ctx.load_by_key::<second::Client>("ada").await?;
    let registered = second::ClientRegistered { first: "Ada".into(), last: "Byron".into() };
    ctx.apply_with(&mut ada, registered, on_day(20))?;
    let changed = second::ContactChanged { email: "ada@byron.org".into(), is_verified: true };
    ctx.apply_with(&mut ada, changed, on_day(21))?;
    // The eighth event, so that there is a snapshot of this version.
    ctx.apply_with(&mut ada, second::Moved { address: "8 Dover St, London".into() }, on_day(22))?;

    let mut cleo = ctx.create_with_key::<second::Client>("cleo").await?;
    let registered = second::ClientRegistered { first: "Cleo".into(), last: "Minor".into() };
    ctx.apply_with(&mut cleo, registered, on_day(23))?;
    ctx.apply_with(&mut cleo, second::Moved { address: "1 Via Appia, Rome".into() }, on_day(23))?;

    let mut pen = ctx.load_by_key::<second::Item>("pen").await?;
    ctx.apply_with(&mut pen, second::PriceSet { cents: 1400, currency: "EUR".into() }, on_day(24))
}

async fn assert_all_is_there_before_the_third_writes(store: &EventStore) {
    let ada = store.load_by_key::<Patron>("ada").await.unwrap();
    assert_eq!(
        ada.replay(),
        Replay { snapshot: None, events: 8 },
        "a snapshot of the second version is no use"
    );
    assert_eq!((ada.sorted_as.as_str(), ada.city.as_str()), ("Byron, Ada", "London"));
}

async fn write_third(ctx: &Context) -> Result<()> {
    let mut ada = ctx.load_by_key::<Patron>("ada").await?;
    for street in ["1 Fordhook Ave", "6 Great Cumberland Pl"] {
        ctx.apply_with(&mut ada, moved(street, "London"), on_day(30))?;
    }
    for street in ["10 St James's Sq", "6 Great Cumberland Pl"] {
        ctx.apply_with(&mut ada, moved(street, "Marylebone"), on_day(31))?;
    }
    let mut dora = ctx.create_with_key::<Patron>("dora").await?;
    let registered = third::PatronRegistered { sorted_as: "Dora".into() };
    ctx.apply_with(&mut dora, registered, on_day(32))?;
    ctx.apply_with(&mut dora, moved("3 Rue Cler", "Paris"), on_day(32))?;

    let mut pen = ctx.load_by_key::<third::Item>("pen").await?;
    let price = third::Price { cents: 1500, currency: "EUR".into() };
    ctx.apply_with(&mut pen, third::PriceSet { price }, on_day(33))
}

fn moved(street: &str, city: &str) -> third::Moved {
    third::Moved { street: street.into(), city: city.into() }
}

async fn names(store: &EventStore, filter: LogFilter) -> Vec<String> {
    let events = store.log(filter, Position::START).page(100).await.unwrap().events;
    events.iter().map(RecordedEvent::event_type).map(str::to_owned).collect()
}

/// As while a new version is rolled out: the old one still runs, and meets what the new one has written.
#[doc(hidden)]
pub async fn a_version_that_is_older_than_an_event_says_so<H: ArchiveHarness>() {
    let restored = H::restore().await;
    let [old, new] = [first::open(restored.open().await).await, third::open(restored.open().await).await];
    let bob: AggregateId<Patron> = new.load_by_key::<Patron>("bob").await.unwrap().id();
    let bob_of_old = bob.untyped().typed::<first::Customer>();
    old.load(bob_of_old).await.unwrap();
    let work = async |ctx: Context| ctx.apply(&mut ctx.load(bob).await?, moved("2 Yard", "York"));
    new.with_context(work).await.unwrap();
    let error = old.load(bob_of_old).await.unwrap_err();
    let Error::UnknownEventType { event_type, sequence, .. } = &error else { panic!("{error:?}") };
    assert_eq!((event_type.as_str(), sequence.get()), ("Moved.v2", 3));
    // What the old one may still write, the new one reads.
    let ada = new.load_by_key::<Patron>("ada").await.unwrap().id();
    let ada_of_old = ada.untyped().typed::<first::Customer>();
    let work = async |ctx: Context| {
        let hint = first::HintGiven { hint: "engine".into() };
        ctx.apply(&mut ctx.load(ada_of_old).await?, hint)
    };
    old.with_context(work).await.unwrap();
    assert_eq!(new.load(ada).await.unwrap().sequence(), Sequence::new(6));
}
