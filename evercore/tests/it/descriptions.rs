//! What is known of the declarations of events is what serde does with them.

use std::collections::BTreeSet;

use evercore::{Aggregate, Apply, Description, Event, EventDescription, FieldDescription, Shape, event};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(
    events(Plain, Renaming, AllDefaults, Pair, Nothing, Loud, ByHand, Written),
    ignores("Gone"),
    alias = "Old"
)]
struct Sample {}

#[event(alias = "Plainer")]
struct Plain {
    number: u32,
    list: Vec<Option<(u8, [char; 2])>>,
    maybe: Option<String>,
    #[serde(default = "seven")]
    seven: u8,
    #[serde(skip)]
    _skipped: u8,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    r#type: Option<u8>,
    #[serde(with = "as_text")]
    text: Option<u8>,
}

#[event]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Renaming {
    first_name: String,
    #[serde(rename = "surname", alias = "last", alias = "family\"name")]
    last_name: String,
}

#[event]
#[serde(default)]
#[derive(Default)]
struct AllDefaults {
    x: u8,
}

#[event]
struct Pair(u8, String);

#[event]
struct Nothing;

#[event]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
struct Loud {
    two_words: u8,
}

#[event(derive = none)]
#[derive(Debug, Clone)]
struct ByHand;

#[event(derive = none)]
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Written {
    x: u8,
}

impl Serialize for ByHand {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for ByHand {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer).map(|_| Self)
    }
}

mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(number: &Option<u8>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&number.map_or_else(String::new, |number| number.to_string()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
        Ok(String::deserialize(deserializer)?.parse().ok())
    }
}

fn seven() -> u8 {
    7
}

macro_rules! ignored {
    ($($event:ident)*) => { $(impl Apply<$event> for Sample { fn apply(&mut self, _: &$event) {} })* };
}
ignored!(Plain Renaming AllDefaults Pair Nothing Loud ByHand Written);

fn described<E: Event>() -> EventDescription {
    Description::of::<Sample>().aggregates["Sample"].events[E::NAME].clone()
}

/// The names of the fields, those that may be missing, and what is stored of an event.
fn compare(shape: &Shape, stored: &Value) -> BTreeSet<String> {
    let Shape::Fields(fields) = shape else { panic!("{shape:?}") };
    let object = stored.as_object().expect("an object");
    let names: BTreeSet<_> = object.keys().cloned().collect();
    assert_eq!(names, fields.keys().cloned().collect());
    fields.iter().filter(|(_, field)| field.optional).map(|(name, _)| name.clone()).collect()
}

/// Those names without which the event is still read.
fn missing<E: Event>(stored: &Value) -> BTreeSet<String> {
    let object = stored.as_object().expect("an object");
    let without = |name: &String| {
        let mut object = object.clone();
        object.remove(name);
        serde_json::from_value::<E>(object.into()).is_ok()
    };
    object.keys().filter(|name| without(name)).cloned().collect()
}

fn stored(event: &impl Event) -> Value {
    serde_json::to_value(event).expect("it can be stored")
}

fn field<'a>(shape: &'a Shape, name: &str) -> &'a FieldDescription {
    let Shape::Fields(fields) = shape else { panic!("{shape:?}") };
    &fields[name]
}

fn texts(texts: &BTreeSet<String>) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn fields_have_the_names_under_which_they_are_stored_and_may_be_missing_when_serde_says_so() {
    let event = Plain {
        number: 1,
        list: Vec::new(),
        maybe: None,
        seven: 7,
        _skipped: 0,
        r#type: Some(1),
        text: None,
    };
    let (described, event) = (described::<Plain>(), stored(&event));
    assert_eq!(compare(&described.shape, &event), missing::<Plain>(&event));
    assert_eq!(texts(&missing::<Plain>(&event)), ["maybe", "seven", "type"]);
    assert_eq!(texts(&described.aliases), ["Plainer"]);
    assert_eq!(field(&described.shape, "list").ty, "Vec<Option<(u8, [char; 2])>>");
    assert_eq!(texts(&field(&described.shape, "text").serde), ["with=\"as_text\""]);

    let described = self::described::<Renaming>();
    let event = stored(&Renaming { first_name: "a".to_owned(), last_name: "b".to_owned() });
    assert_eq!(compare(&described.shape, &event), missing::<Renaming>(&event));
    assert_eq!(texts(&field(&described.shape, "surname").aliases), ["family\"name", "last"]);
    assert_eq!(texts(&described.serde), ["deny_unknown_fields"]);

    let described = self::described::<AllDefaults>();
    let event = stored(&AllDefaults { x: 1 });
    assert_eq!(compare(&described.shape, &event), missing::<AllDefaults>(&event));
    assert_eq!(texts(&missing::<AllDefaults>(&event)), ["x"]);

    let event = stored(&Loud { two_words: 1 });
    assert!(compare(&self::described::<Loud>().shape, &event).is_empty());

    let event = stored(&Written { x: 1 });
    assert!(compare(&self::described::<Written>().shape, &event).is_empty());
}

#[test]
fn shapes_are_those_of_the_declarations() {
    let Shape::Values(values) = described::<Pair>().shape else { panic!("it has values") };
    assert_eq!(values.iter().map(|value| value.ty.as_str()).collect::<Vec<_>>(), ["u8", "String"]);
    assert_eq!(described::<Nothing>().shape, Shape::Unit);
    assert_eq!(described::<ByHand>().shape, Shape::Unknown);
}

#[test]
fn the_description_of_a_registry_goes_through_its_json_form() {
    let description = Description::of::<Sample>();
    let sample = &description.aggregates["Sample"];
    assert_eq!((texts(&sample.aliases), texts(&sample.ignores)), (vec!["Old"], vec!["Gone"]));
    let json = serde_json::to_string(&description).expect("it can be written");
    assert_eq!(serde_json::from_str::<Description>(&json).expect("and read"), description);
}
