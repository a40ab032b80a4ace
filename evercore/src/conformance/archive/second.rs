//! The second version: names were found that say more, and prices became numbers.

use serde::{Deserialize, Serialize};

use super::first::Shelf;
use crate::{Aggregate, EventStore, engine::StorageEngine, event, state_event};

/// Was called `Customer`.
#[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    name = "Client",
    alias = "Customer",
    events(ClientRegistered, ContactChanged, HintGiven, Moved),
    snapshot_every = 4
)]
pub(super) struct Client {
    pub(super) first: String,
    pub(super) last: String,
    pub(super) email: String,
    pub(super) is_verified: bool,
    pub(super) hint: String,
    pub(super) address: String,
}

/// What the first version stored. It had a field `newsletter`, which nobody needs any more.
#[event(name = "CustomerRegistered")]
pub(super) struct ClientRegisteredV1 {
    pub(super) name: String,
}

#[state_event(Client, name = "ClientRegistered.v2", upcasts(ClientRegisteredV1))]
pub(super) struct ClientRegistered {
    pub(super) first: String,
    pub(super) last: String,
}

impl From<ClientRegisteredV1> for ClientRegistered {
    fn from(old: ClientRegisteredV1) -> Self {
        let (first, last) = old.name.split_once(' ').unwrap_or(("", &old.name));
        Self { first: first.to_owned(), last: last.to_owned() }
    }
}

/// Was called `EmailChanged`, and did not say whether the address was verified.
#[state_event(Client, alias = "EmailChanged")]
pub(super) struct ContactChanged {
    pub(super) email: String,
    #[serde(default)]
    pub(super) is_verified: bool,
}

#[state_event(Client)]
pub(super) struct HintGiven {
    hint: String,
}

#[state_event(Client)]
pub(super) struct Moved {
    pub(super) address: String,
}

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(PriceSet), snapshot = off)]
pub(super) struct Item {
    pub(super) cents: u64,
    pub(super) currency: String,
}

#[event(name = "PriceSet")]
pub(super) struct PriceSetV1 {
    price: String,
}

#[state_event(Item, name = "PriceSet.v2", upcasts(PriceSetV1 with PriceSet::parse))]
pub(super) struct PriceSet {
    pub(super) cents: u64,
    pub(super) currency: String,
}

impl PriceSet {
    fn parse(old: PriceSetV1) -> Result<Self, String> {
        let PriceSetV1 { price } = old;
        let no_price = || format!("{price:?} is not a price");
        let (amount, currency) = price.split_once(' ').ok_or_else(no_price)?;
        let (whole, cents) = amount.split_once('.').ok_or_else(no_price)?;
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| no_price());
        Ok(Self { cents: number(whole)? * 100 + number(cents)?, currency: currency.to_owned() })
    }
}

crate::registry!(
    /// All that the second version stores.
    pub(super) Domain { Client, Item, Shelf }
);

pub(super) async fn open(engine: impl StorageEngine) -> EventStore {
    EventStore::open::<Domain>(engine).await.unwrap()
}
