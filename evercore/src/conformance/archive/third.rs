//! The third version: it goes on from the second, and knows the first by what that one left.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{first::Shelf, second};
use crate::{Aggregate, Apply, EventStore, engine::StorageEngine, event, state_event};

/// Was called `Client`, and `Customer` before.
#[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    name = "Patron",
    alias = "Client",
    alias = "Customer",
    events(PatronRegistered, ContactChanged, Moved),
    ignores("HintGiven"),
    snapshot_every = 4
)]
pub(super) struct Patron {
    pub(super) sorted_as: String,
    pub(super) contact: String,
    pub(super) is_verified: bool,
    pub(super) city: String,
}

/// Two generations of older forms: `ClientRegistered.v2`, and `CustomerRegistered` before.
#[state_event(Patron, upcasts(second::ClientRegistered))]
#[derive(PartialEq)]
pub(super) struct PatronRegistered {
    pub(super) sorted_as: String,
}

impl From<second::ClientRegistered> for PatronRegistered {
    fn from(old: second::ClientRegistered) -> Self {
        let sorted_as = if old.first.is_empty() { old.last } else { format!("{}, {}", old.last, old.first) };
        Self { sorted_as }
    }
}

/// One more name for `email`.
#[state_event(Patron, alias = "EmailChanged")]
#[derive(PartialEq)]
pub(super) struct ContactChanged {
    #[serde(alias = "email")]
    pub(super) contact: String,
    #[serde(default)]
    pub(super) is_verified: bool,
}

/// Made from what is stored, without a type for the old shape.
#[event(name = "Moved.v2", upcasts("Moved" with moved))]
#[derive(PartialEq)]
pub(super) struct Moved {
    pub(super) street: String,
    pub(super) city: String,
}

fn moved(mut old: Value) -> Result<Moved, String> {
    let Value::String(address) = old["address"].take() else { return Err("there is no address".into()) };
    let (street, city) = address.rsplit_once(", ").ok_or("there is no city")?;
    Ok(Moved { street: street.to_owned(), city: city.to_owned() })
}

impl Apply<Moved> for Patron {
    fn apply(&mut self, event: &Moved) {
        self.city.clone_from(&event.city);
    }
}

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(PriceSet), snapshot = off)]
pub(super) struct Item {
    pub(super) price: Price,
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Price {
    pub(super) cents: u64,
    pub(super) currency: String,
}

/// The first of its two steps may fail.
#[state_event(Item, name = "PriceSet.v3", upcasts(second::PriceSet))]
#[derive(PartialEq)]
pub(super) struct PriceSet {
    pub(super) price: Price,
}

impl From<second::PriceSet> for PriceSet {
    fn from(old: second::PriceSet) -> Self {
        Self { price: Price { cents: old.cents, currency: old.currency } }
    }
}

crate::registry!(
    /// All that the third version stores.
    pub(super) Domain { Patron, Item, Shelf }
);

pub(super) async fn open(engine: impl StorageEngine) -> EventStore {
    EventStore::open::<Domain>(engine).await.unwrap()
}
