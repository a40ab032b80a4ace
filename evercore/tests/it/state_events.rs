//! What state events do to states, where they do more than to set a field.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::AddAssign,
};

use evercore::{Aggregate, Apply, Event, EventStore, event, registry, state_event};
use evercore_memory::MemoryEngine;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Placed, Paid, Untagged, Renamed), snapshot_every = 3)]
struct Order {
    name: Name,
    status: Status,
    address: Address,
    tags: BTreeSet<Name>,
    lines: Vec<String>,
    amounts: BTreeMap<String, u64>,
    paid: u64,
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Address {
    city: String,
    spot: (u32, u32),
    notes: Vec<String>,
    visits: u64,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Name(String);

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(name)
    }
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
enum Status {
    #[default]
    Open,
    Settled,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Payment {
    Cash,
    Credit,
}

impl From<Payment> for Status {
    fn from(payment: Payment) -> Self {
        match payment {
            Payment::Cash => Self::Settled,
            Payment::Credit => Self::Open,
        }
    }
}

#[state_event(Order)]
#[derive(Default)]
struct Placed {
    name: Option<String>,
    #[state(path = "address.city")]
    city: String,
    #[state(path = "address.spot.1")]
    north: Option<u16>,
    #[state(push, rename = "tags")]
    tag: Option<String>,
    #[state(extend)]
    lines: Vec<String>,
    #[state(extend, path = "address.notes")]
    notes: Option<Vec<String>>,
    #[state(push, rename = "amounts")]
    amount: (String, u64),
}

#[state_event(Order)]
struct Paid {
    #[state(rename = "status")]
    payment: Payment,
    #[state(rename = "paid", with = AddAssign::add_assign)]
    amount: u64,
    #[state(path = "address.visits", with = visit)]
    visits: Option<u8>,
}

fn visit(all: &mut u64, more: &u8) {
    *all = all.saturating_add(u64::from(*more));
}

#[state_event(Order)]
struct Untagged {
    #[state(rename = "tags", with = untag)]
    tag: String,
}

fn untag(tags: &mut BTreeSet<Name>, tag: &str) {
    tags.retain(|other| other.0 != tag);
}

/// An event of two aggregates, and of a third that says for itself what it does.
#[state_event(Order, Shelf, name = "renamed")]
struct Renamed {
    name: String,
}

#[derive(Debug, Default, PartialEq, Aggregate)]
#[aggregate(events(Renamed), snapshot = off)]
struct Shelf {
    name: Option<String>,
}

#[derive(Debug, Default, PartialEq, Aggregate)]
#[aggregate(events(Renamed, Opened), snapshot = off)]
struct Shop {
    names: Vec<String>,
}

impl Apply<Renamed> for Shop {
    fn apply(&mut self, event: &Renamed) {
        self.names.push(event.name.clone());
    }
}

#[event]
struct Opened {}

impl Apply<Opened> for Shop {
    fn apply(&mut self, _event: &Opened) {}
}

registry!(Domain { Order, Shelf, Shop });

fn placed() -> Placed {
    Placed {
        name: Some("n".to_owned()),
        city: "Rome".to_owned(),
        north: Some(42),
        tag: Some("new".to_owned()),
        lines: vec!["book".to_owned(), "pen".to_owned()],
        notes: Some(vec!["ring twice".to_owned()]),
        amount: ("book".to_owned(), 7),
    }
}

fn order() -> Order {
    let mut order = Order::default();
    order.apply(&placed());
    order
}

#[test]
fn a_newtype_of_the_state_is_made_by_from() {
    assert_eq!(order().name, Name("n".to_owned()));
}

#[test]
fn an_enum_of_the_state_is_made_by_from() {
    let mut state = order();
    state.apply(&Paid { payment: Payment::Credit, amount: 0, visits: None });
    assert_eq!(state.status, Status::Open);
    state.apply(&Paid { payment: Payment::Cash, amount: 0, visits: None });
    assert_eq!(state.status, Status::Settled);
}

#[test]
fn a_path_leads_to_a_field_inside_others() {
    let state = order();
    assert_eq!((state.address.city.as_str(), state.address.spot), ("Rome", (0, 42)));
}

#[test]
fn a_value_is_pushed_and_values_extend() {
    let mut state = order();
    state.apply(&Placed { lines: vec!["ink".to_owned()], amount: ("ink".to_owned(), 3), ..placed() });
    assert_eq!(state.lines, ["book", "pen", "ink"]);
    assert_eq!(state.tags, [Name("new".to_owned())].into());
    assert_eq!(state.address.notes, ["ring twice", "ring twice"]);
    assert_eq!(state.amounts, [("book".to_owned(), 7), ("ink".to_owned(), 3)].into());
}

#[test]
fn none_adds_nothing_and_calls_no_function() {
    let mut state = order();
    state.apply(&Placed { name: None, north: None, tag: None, notes: None, ..placed() });
    state.apply(&Paid { payment: Payment::Credit, amount: 0, visits: None });
    let lines = ["book", "pen", "book", "pen"].map(ToOwned::to_owned).into();
    assert_eq!(state, Order { lines, ..order() });
}

#[test]
fn a_function_changes_the_field_of_the_state() {
    let mut state = order();
    state.apply(&Paid { payment: Payment::Credit, amount: 3, visits: Some(2) });
    state.apply(&Paid { payment: Payment::Credit, amount: 4, visits: Some(1) });
    assert_eq!((state.paid, state.address.visits), (7, 3));
    state.apply(&Untagged { tag: "new".to_owned() });
    assert_eq!(state.tags, BTreeSet::new());
}

#[tokio::test]
async fn what_is_loaded_is_what_was_applied() {
    let store = EventStore::open::<Domain>(MemoryEngine::new()).await.unwrap();
    let ((id, applied), _) = store
        .unit()
        .run(async |ctx| {
            let mut order = ctx.create::<Order>().await?;
            ctx.apply(&mut order, placed())?;
            ctx.apply(&mut order, Paid { payment: Payment::Cash, amount: 9, visits: Some(1) })?;
            ctx.apply(&mut order, Untagged { tag: "new".to_owned() })?;
            ctx.apply(&mut order, Placed { city: "Oslo".to_owned(), ..placed() })?;
            Ok((order.id(), order.state().clone()))
        })
        .await
        .unwrap();
    assert_eq!(store.load::<Order>(id).await.unwrap().state(), &applied);
}

#[tokio::test]
async fn one_event_changes_the_states_of_several_aggregates() {
    assert_eq!(Renamed::NAME, "renamed");
    let store = EventStore::open::<Domain>(MemoryEngine::new()).await.unwrap();
    let renamed = || Renamed { name: "r".to_owned() };
    let (ids, _) = store
        .unit()
        .run(async |ctx| {
            let mut order = ctx.create::<Order>().await?;
            let mut shelf = ctx.create::<Shelf>().await?;
            let mut shop = ctx.create::<Shop>().await?;
            ctx.apply(&mut order, renamed())?;
            ctx.apply(&mut shelf, renamed())?;
            ctx.apply(&mut shop, renamed())?;
            Ok((order.id(), shelf.id(), shop.id()))
        })
        .await
        .unwrap();
    assert_eq!(store.load(ids.0).await.unwrap().state().name, Name("r".to_owned()));
    assert_eq!(store.load(ids.1).await.unwrap().state().name, Some("r".to_owned()));
    assert_eq!(store.load(ids.2).await.unwrap().state().names, ["r"]);
}
