//! An application of many aggregates and events, written in three ways.

use std::{fs, path::Path};

use crate::{Failure, Result, run::root};

const AGGREGATES: usize = 50;

/// For each aggregate; one of two has its `apply` written by hand.
const EVENTS: usize = 10;

/// What all events have in common.
const FIELDS: &str = "pub title: String, pub amount: u64, pub note: Option<String>";

/// How the application is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// With this library.
    Macros,
    /// With serde's derives, and what this library writes: an enum of the events of each aggregate, which is decoded by
    /// name and applied.
    ByHand,
    /// With serde's derives alone.
    SerdeOnly,
}

impl Variant {
    pub(super) const ALL: [Self; 3] = [Self::Macros, Self::ByHand, Self::SerdeOnly];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Macros => "macros",
            Self::ByHand => "by-hand",
            Self::SerdeOnly => "serde-only",
        }
    }

    pub(super) fn summary(self) -> &'static str {
        match self {
            Self::Macros => "with the macros",
            Self::ByHand => "enums, decoding and apply by hand",
            Self::SerdeOnly => "the structs alone, with serde's derives",
        }
    }

    fn source(self) -> String {
        let head = match self {
            Self::Macros => {
                "use evercore::{Aggregate, Apply, event, registry, state_event};\nuse serde::{Deserialize, Serialize};\n"
            }
            Self::ByHand | Self::SerdeOnly => "use serde::{Deserialize, Serialize};\n",
        };
        let aggregates: String = (0..AGGREGATES).map(|aggregate| self.aggregate(aggregate)).collect();
        let names: Vec<_> = (0..AGGREGATES).map(state).collect();
        let registry = match self {
            Self::Macros => format!("registry!(pub Domain {{ {} }});\n", names.join(", ")),
            Self::ByHand | Self::SerdeOnly => String::new(),
        };
        format!("#![allow(missing_docs)]\n{head}{aggregates}{registry}")
    }

    /// An aggregate and its events.
    fn aggregate(self, aggregate: usize) -> String {
        let state = state(aggregate);
        let events: Vec<_> = (0..EVENTS).map(|event| format!("{state}Event{event}")).collect();
        let structs: String =
            events.iter().enumerate().map(|(index, event)| self.event(&state, index, event)).collect();
        let attributes = match self {
            Self::Macros => format!(
                "#[derive(Debug, Default, Clone, Serialize, Deserialize, Aggregate)]\n#[aggregate(events({}))]",
                events.join(", ")
            ),
            Self::ByHand | Self::SerdeOnly => {
                "#[derive(Debug, Default, Clone, Serialize, Deserialize)]".to_owned()
            }
        };
        let enumeration = if self == Self::ByHand { by_hand(&state, &events) } else { String::new() };
        format!("{attributes}\npub struct {state} {{ {FIELDS}, pub count: u64 }}\n{structs}{enumeration}")
    }

    fn event(self, state: &str, index: usize, event: &str) -> String {
        let attribute = match self {
            Self::Macros if counts(index) => "#[event]".to_owned(),
            Self::Macros => format!("#[state_event({state})]"),
            Self::ByHand | Self::SerdeOnly => "#[derive(Debug, Clone, Serialize, Deserialize)]".to_owned(),
        };
        let apply = if self == Self::Macros && counts(index) {
            format!(
                "impl Apply<{event}> for {state} {{ fn apply(&mut self, event: &{event}) {{ self.count += event.amount; }} }}\n"
            )
        } else {
            String::new()
        };
        format!("{attribute}\npub struct {event} {{ {FIELDS} }}\n{apply}")
    }
}

/// Whether an event does something else than to bring its fields into the state.
fn counts(index: usize) -> bool {
    index % 2 == 1
}

fn state(aggregate: usize) -> String {
    format!("Aggregate{aggregate}")
}

/// What a person would write who knows which events there are.
fn by_hand(state: &str, events: &[String]) -> String {
    let variants: String = events.iter().map(|event| format!("    {event}({event}),\n")).collect();
    let conversions: String = events
        .iter()
        .map(|event| format!("impl From<{event}> for {state}Event {{ fn from(event: {event}) -> Self {{ Self::{event}(event) }} }}\n"))
        .collect();
    let decoded: String = events
        .iter()
        .map(|event| format!("            \"{event}\" => serde_json::from_slice::<{event}>(json).map(|event| Some(event.into())),\n"))
        .collect();
    let applied: String = events
        .iter()
        .enumerate()
        .map(|(index, event)| {
            let effect = match counts(index) {
                true => "self.count += event.amount",
                false => "{ self.title.clone_from(&event.title); self.amount = event.amount; if event.note.is_some() { self.note.clone_from(&event.note); } }",
            };
            format!("            {state}Event::{event}(event) => {effect},\n")
        })
        .collect();
    format!(
        "#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)]
pub enum {state}Event {{
{variants}}}
{conversions}
impl {state} {{
    pub fn decode(name: &str, json: &[u8]) -> serde_json::Result<Option<{state}Event>> {{
        match name {{
{decoded}            _ => Ok(None),
        }}
    }}
    pub fn apply(&mut self, event: &{state}Event) {{
        match event {{
{applied}        }}
    }}
}}
"
    )
}

/// What is compiled.
pub(super) fn summary() -> String {
    format!("{AGGREGATES} aggregates, {} events", AGGREGATES * EVENTS)
}

/// Writes a workspace with a crate for each variant.
pub(super) fn write(place: &Path) -> Result {
    let members = Variant::ALL.map(|variant| format!("{:?}", variant.name())).join(", ");
    put(&place.join("Cargo.toml"), &format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n"))?;
    // The same dependencies as everything else here.
    let lock = root().join("Cargo.lock");
    put(&place.join("Cargo.lock"), &fs::read_to_string(&lock).map_err(Failure::at(&lock))?)?;
    for variant in Variant::ALL {
        let package = place.join(variant.name());
        let manifest = format!(
            "[package]\nname = {:?}\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             evercore.path = {:?}\nserde = {{ version = \"1\", features = [\"derive\"] }}\nserde_json = \"1\"\n",
            variant.name(),
            root().join("evercore")
        );
        put(&package.join("Cargo.toml"), &manifest)?;
        put(&package.join("src/lib.rs"), &variant.source())?;
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory).map_err(Failure::at(directory))?;
    fs::write(path, text).map_err(Failure::at(path))
}
