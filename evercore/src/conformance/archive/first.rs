//! The first version of the program: what it stored is in the archive.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Aggregate, Apply, Context, EventOptions, EventStore, Metadata, Result, engine::StorageEngine, event,
    state_event,
};

/// Takes a snapshot of a shape that no later version has.
#[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(CustomerRegistered, EmailChanged, HintGiven, Moved), snapshot_every = 4)]
pub(super) struct Customer {
    pub(super) name: String,
    pub(super) newsletter: bool,
    pub(super) email: String,
    pub(super) hint: String,
    pub(super) address: String,
}

#[state_event(Customer)]
pub(super) struct CustomerRegistered {
    name: String,
    newsletter: bool,
}

#[state_event(Customer)]
pub(super) struct EmailChanged {
    email: String,
}

#[state_event(Customer)]
pub(super) struct HintGiven {
    pub(super) hint: String,
}

#[state_event(Customer)]
pub(super) struct Moved {
    address: String,
}

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(PriceSet), snapshot = off)]
pub(super) struct Item {
    price: String,
}

#[state_event(Item)]
pub(super) struct PriceSet {
    price: String,
}

/// Is the same in all versions, so that its old snapshots fit for ever.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(events(BooksAdded), snapshot_every = 2)]
pub(super) struct Shelf {
    pub(super) books: u32,
}

#[event]
pub(super) struct BooksAdded {
    pub(super) books: u32,
}

impl Apply<BooksAdded> for Shelf {
    fn apply(&mut self, event: &BooksAdded) {
        self.books += event.books;
    }
}

crate::registry!(
    /// All that the first version stores.
    pub(super) Domain { Customer, Item, Shelf }
);

pub(super) async fn open(engine: impl StorageEngine) -> EventStore {
    EventStore::open::<Domain>(engine).await.unwrap()
}

/// Writes what the archive contains into a new store.
pub(super) async fn write(store: &EventStore) -> Result<()> {
    store.with_context(async |ctx| ada(&ctx).await).await?;
    store
        .with_context(async |ctx| {
            let mut ada = ctx.load_by_key::<Customer>("ada").await?;
            ctx.apply_with(&mut ada, EmailChanged { email: "ada@lovelace.org".into() }, on_day(4))
        })
        .await?;
    store
        .with_context(async |ctx| {
            bob(&ctx).await?;
            prices(&ctx, "pen", &["12.50 EUR", "13.05 EUR"]).await?;
            prices(&ctx, "vase", &["a fortune"]).await
        })
        .await?;
    for books in [30, 20, 7] {
        store
            .with_context(async |ctx| {
                let mut shelf = ctx.load_or_create::<Shelf>("novels").await?;
                ctx.apply_with(&mut shelf, BooksAdded { books }, on_day(9))
            })
            .await?;
    }
    Ok(())
}

/// Four events in one commit: there is a snapshot of them, and one event will come after it.
async fn ada(ctx: &Context) -> Result<()> {
    let mut ada = ctx.create_with_key::<Customer>("ada").await?;
    let described = on_day(0).reference("form 7").metadata(Metadata::new().with_correlation_id("request-1"));
    let registered = CustomerRegistered { name: "Ada Lovelace".into(), newsletter: true };
    ctx.apply_with(&mut ada, registered, described)?;
    ctx.apply_with(&mut ada, EmailChanged { email: "ada@example.org".into() }, on_day(1))?;
    ctx.apply_with(&mut ada, HintGiven { hint: "poet".into() }, on_day(2))?;
    ctx.apply_with(&mut ada, Moved { address: "12 St James's Square, London".into() }, on_day(3))
}

/// Without a snapshot.
async fn bob(ctx: &Context) -> Result<()> {
    let mut bob = ctx.create_with_key::<Customer>("bob").await?;
    let registered = CustomerRegistered { name: "Bob".into(), newsletter: false };
    ctx.apply_with(&mut bob, registered, on_day(5))?;
    ctx.apply_with(&mut bob, HintGiven { hint: "builder".into() }, on_day(6))
}

async fn prices(ctx: &Context, key: &str, prices: &[&str]) -> Result<()> {
    let mut item = ctx.create_with_key::<Item>(key).await?;
    for price in prices {
        ctx.apply_with(&mut item, PriceSet { price: (*price).into() }, on_day(7))?;
    }
    Ok(())
}

/// Times that are the same whenever the archive is made.
pub(super) fn on_day(day: i64) -> EventOptions {
    let start = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
    EventOptions::new().at(start + TimeDelta::days(day))
}
