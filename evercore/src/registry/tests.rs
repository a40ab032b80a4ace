//! Decoding of stored events, which only the library itself can make.

use std::sync::Arc;

use crate::{
    Aggregate, AggregateId, Apply, Error, Event, EventInfo, EventOf, Metadata, Payload, Position,
    RecordedEvent, Registry, Result, Sequence, engine::Timestamp, event, registry,
};

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Opened, Closed), name = "account", alias = "acct", snapshot = off)]
struct Account {
    last: Option<Sequence>,
    reference: Option<String>,
}

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Opened), snapshot = off)]
struct Order;

#[event(name = "opened", alias = "Opened")]
#[derive(PartialEq)]
struct Opened {
    by: String,
}

#[event]
struct Closed {}

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}

    fn apply_with(&mut self, _event: &Opened, info: &EventInfo) {
        self.last = Some(info.sequence());
        self.reference = info.reference().map(str::to_owned);
    }
}

impl Apply<Closed> for Account {
    fn apply(&mut self, _event: &Closed) {
        self.last = None;
    }
}

impl Apply<Opened> for Order {
    fn apply(&mut self, _event: &Opened) {}
}

registry!(Sales { Order });
registry!(Domain { Sales, Account });

fn info() -> EventInfo {
    EventInfo {
        sequence: Sequence::new(3),
        time: Timestamp::now(),
        recorded_at: None,
        reference: Some("letter 7".to_owned()),
        metadata: Metadata::new(),
    }
}

fn recorded(aggregate_type: &str, event_type: &str, json: &str) -> RecordedEvent {
    RecordedEvent {
        position: Position::new(1),
        aggregate_type: Arc::from(aggregate_type),
        aggregate_id: AggregateId::new(1),
        event_type: Arc::from(event_type),
        recorded_at: Timestamp::now(),
        info: info(),
        payload: Payload::new(crate::Codec::JSON, json.as_bytes().to_vec()),
    }
}

const OPENED: &str = r#"{"by":"ann"}"#;

fn shown(event: &RecordedEvent) -> Result<String> {
    Ok(format!("{:?}", event.decode::<Domain>()?))
}

#[test]
fn an_event_is_decoded_by_aggregate_and_event_type() -> Result<()> {
    assert_eq!(shown(&recorded("account", "opened", OPENED))?, r#"Account(Opened(Opened { by: "ann" }))"#);
    assert_eq!(shown(&recorded("account", "Closed", "{}"))?, "Account(Closed(Closed))");
    assert_eq!(shown(&recorded("Order", "opened", OPENED))?, r#"Sales(Order(Opened(Opened { by: "ann" })))"#);
    Ok(())
}

#[test]
fn old_names_are_decoded_too() -> Result<()> {
    assert_eq!(shown(&recorded("acct", "Opened", OPENED))?, r#"Account(Opened(Opened { by: "ann" }))"#);
    let opened: Option<Opened> = recorded("acct", "Opened", OPENED).decode_event()?;
    assert_eq!(opened, Some(Opened { by: "ann".to_owned() }));
    Ok(())
}

#[test]
fn an_aggregate_is_a_registry_of_itself() -> Result<()> {
    assert!(matches!(recorded("account", "opened", OPENED).decode::<Account>()?, AccountEvent::Opened(_)));
    assert!(Order::decode(&recorded("account", "opened", OPENED))?.is_none());
    Ok(())
}

#[test]
fn types_that_are_not_listed_are_unknown() {
    for unknown in [recorded("user", "opened", OPENED), recorded("Order", "Closed", "{}")] {
        assert!(matches!(shown(&unknown), Err(Error::UnknownEventType { .. })), "{unknown:?}");
    }
}

#[test]
fn a_payload_of_another_shape_is_an_error_that_names_the_event() {
    let error = shown(&recorded("account", "opened", r#"{"by":7}"#)).map_err(|error| error.to_string());
    assert_eq!(error, Err(r#"event 3 of account 1, a "opened", cannot be decoded"#.to_owned()));
}

#[test]
fn applying_hands_out_what_is_known_about_the_event() {
    let mut account = Account::default();
    account.apply_event(&Opened { by: "ann".to_owned() }.into(), &info());
    assert_eq!((account.last, account.reference.as_deref()), (Some(Sequence::new(3)), Some("letter 7")));
    Closed {}.apply_to(&mut account, &info());
    assert_eq!(account.last, None);
}

#[test]
fn an_event_says_its_origin() {
    assert!(Opened::ORIGIN.starts_with("evercore::registry::tests::Opened "), "{}", Opened::ORIGIN);
}
