//! An aggregate whose events come from another crate, and a registry with it.

use es::{Aggregate, Apply, Registry, event, state_event};
use renamed::{Closed, Opened};

#[derive(Debug, Default, Clone, Aggregate)]
#[aggregate(events(Opened, renamed::Closed, Named, Signed), ignores("Knocked"))]
#[aggregate(snapshot = off, validate = check, crate = "es")]
struct Door {
    name: String,
    last: String,
    signs: Vec<String>,
}

fn check(door: &Door) -> Result<(), String> {
    if door.name.is_empty() { Err("no name".to_owned()) } else { Ok(()) }
}

#[state_event(Door, crate = "es", upcasts(renamed::Labelled, Tagged with Named::tagged, "signed" with signed))]
struct Named {
    name: String,
}

#[state_event(Door, crate = "es")]
struct Signed {
    #[state(push, rename = "signs")]
    sign: String,
    #[state(extend, rename = "signs")]
    more: Vec<String>,
    #[state(with = String::push_str)]
    name: String,
}

impl From<renamed::Labelled> for Named {
    fn from(old: renamed::Labelled) -> Self {
        Self { name: old.label }
    }
}

#[event(crate = "es")]
struct Tagged {
    tag: u32,
}

impl Named {
    fn tagged(Tagged { tag }: Tagged) -> Result<Self, String> {
        Ok(Self { name: tag.to_string() })
    }
}

/// Takes any JSON: the crate names no type of serde.
#[expect(clippy::needless_pass_by_value, reason = "a conversion gets what it converts")]
fn signed(old: impl ToString) -> Result<Named, String> {
    Ok(Named { name: old.to_string() })
}

impl Apply<Opened> for Door {
    fn apply(&mut self, event: &Opened) {
        self.last.clone_from(&event.by);
    }
}

impl Apply<Closed> for Door {
    fn apply(&mut self, event: &Closed) {
        self.last.clone_from(&event.closed_by);
    }
}

es::registry!(crate = ::es; House { Door });

#[test]
fn events_of_another_crate_are_listed_and_decoded() {
    let names: Vec<_> = Door::EVENTS.iter().map(|event| event.name).collect();
    assert_eq!(names, ["opened", "Closed", "Named", "Signed"]);

    let payload = es::Payload::encode(&Closed { closed_by: "ann".to_owned() }).expect("it is JSON");
    assert_eq!(payload.bytes, br#"{"closedBy":"ann"}"#);
    let event = Door::decode_event(1, "Closed", &payload).expect("it is a `Closed`");
    assert_eq!(format!("{event:?}"), r#"Closed(Closed { closed_by: "ann" })"#);
    assert!(Door::decode_event(1, "Closed", &es::Payload::new(es::Codec::JSON, b"{}".to_vec())).is_err());
}

#[test]
fn a_state_event_and_a_validation_find_the_library() {
    let mut door = Door::default();
    assert!(door.change(|door| door.apply(&Opened { by: "ann".to_owned() })).is_err());
    assert!(door.change(|door| door.apply(&Named { name: "front".to_owned() })).is_ok());
    assert_eq!((door.name.as_str(), door.last.as_str()), ("front", ""));
    let signed = Signed { sign: "7".to_owned(), more: vec!["8".to_owned()], name: " door".to_owned() };
    assert!(door.change(|door| door.apply(&signed)).is_ok());
    assert_eq!((door.name.as_str(), &door.signs[..]), ("front door", &["7".to_owned(), "8".to_owned()][..]));
}

#[test]
fn older_forms_find_the_library() {
    for (name, json) in [("named", r#"{"label":"7"}"#), ("Tagged", r#"{"tag":7}"#), ("signed", "7")] {
        let payload = es::Payload::new(es::Codec::JSON, json.as_bytes().to_vec());
        let event = Door::decode_event(2, name, &payload).expect("it is upcast");
        assert_eq!(format!("{event:?}"), r#"Named(Named { name: "7" })"#);
    }
    let payload = es::Payload::new(es::Codec::JSON, Vec::new());
    assert!(matches!(Door::decode_event(4, "Knocked", &payload), Ok(DoorEvent::Ignored)));
}

#[test]
fn a_registry_finds_the_library() {
    assert_eq!(House::TYPES.aggregates().len(), 1);
    let event = HouseEvent::Door(Opened { by: "ann".to_owned() }.into());
    assert_eq!(format!("{event:?}"), r#"Door(Opened(Opened { by: "ann" }))"#);
}
