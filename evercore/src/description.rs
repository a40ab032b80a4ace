//! What a registry consists of, as data for tools.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{AggregateType, EventType, Registry};

/// The aggregates and events of a registry, and how the events are stored, as their declarations say.
///
/// It can be written and read by serde, and is what `testing::assert_shapes` keeps in its file.
///
/// ```
/// use evercore::{Aggregate, Description, Shape, state_event};
///
/// #[derive(Aggregate, Default, serde::Serialize, serde::Deserialize)]
/// #[aggregate(events(UserRenamed))]
/// struct User {
///     name: String,
/// }
///
/// #[state_event(User)]
/// struct UserRenamed {
///     #[serde(alias = "full_name")]
///     name: String,
/// }
///
/// let domain = Description::of::<User>();
/// let event = &domain.aggregates["User"].events["UserRenamed"];
/// let Shape::Fields(fields) = &event.shape else { panic!("it has fields") };
/// assert_eq!(fields["name"].ty, "String");
/// assert!(fields["name"].aliases.contains("full_name"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Description {
    /// The aggregates by their stored names.
    pub aggregates: BTreeMap<String, AggregateDescription>,
}

/// An aggregate of a [`Description`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AggregateDescription {
    /// Names under which such aggregates were stored in the past.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aliases: BTreeSet<String>,
    /// Stored events that are passed over.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ignores: BTreeSet<String>,
    /// Its events by their stored names, and their older forms.
    pub events: BTreeMap<String, EventDescription>,
}

/// An event of a [`Description`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventDescription {
    /// The version of the application in which the event was first seen, where that was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Names under which it was stored in the past.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aliases: BTreeSet<String>,
    /// The older forms that are upcast to it directly.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub upcasts: BTreeSet<String>,
    /// What serde is told about the whole, besides names and what may be missing: `deny_unknown_fields`, `transparent`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub serde: BTreeSet<String>,
    /// What is stored.
    pub shape: Shape,
    /// What was stored before, as far as it was written down and is still read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierShape>,
}

/// What an event of a [`Description`] was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EarlierShape {
    /// What serde was told about the whole.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub serde: BTreeSet<String>,
    /// What was stored.
    pub shape: Shape,
}

/// What is stored of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shape {
    /// It cannot be seen: `Event` or serde's traits are implemented by hand.
    Unknown,
    /// Nothing besides the name.
    Unit,
    /// Values without names, in their order.
    Values(Vec<FieldDescription>),
    /// Fields by their stored names.
    Fields(BTreeMap<String, FieldDescription>),
}

/// A field of a [`Shape`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FieldDescription {
    /// Other names under which it is read.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aliases: BTreeSet<String>,
    /// What else serde is told about it: `flatten`, `with="path"`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub serde: BTreeSet<String>,
    /// Whether it may be missing in what is read: it has a default, or is an `Option`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// Its type, as it is written. What the type consists of is not seen.
    #[serde(rename = "type")]
    pub ty: String,
}

impl Description {
    /// The description of a registry, or of a single aggregate.
    #[must_use]
    pub fn of<R: Registry>() -> Self {
        let aggregates = R::TYPES.aggregates();
        Self {
            aggregates: aggregates
                .iter()
                .map(|aggregate| (aggregate.name.to_owned(), AggregateDescription::of(aggregate)))
                .collect(),
        }
    }
}

impl AggregateDescription {
    fn of(aggregate: &AggregateType) -> Self {
        let mut events = BTreeMap::new();
        aggregate.events.iter().for_each(|event| add(event, &mut events));
        Self { aliases: owned(aggregate.aliases), ignores: owned(aggregate.ignored), events }
    }
}

fn add(event: &EventType, events: &mut BTreeMap<String, EventDescription>) {
    events.insert(event.name.to_owned(), EventDescription::of(event));
    event.ancestors.iter().for_each(|ancestor| add(ancestor, events));
}

impl EventDescription {
    fn of(event: &EventType) -> Self {
        let declared = serde_json::from_str(event.declaration);
        let Declared { serde, shape } = declared.unwrap_or_default();
        let upcasts = event.ancestors.iter().map(|ancestor| ancestor.name.to_owned()).collect();
        Self { since: None, aliases: owned(event.aliases), upcasts, serde, shape, earlier: Vec::new() }
    }
}

/// What the macros write down of a declaration; of others nothing is known.
#[derive(Deserialize)]
struct Declared {
    #[serde(default)]
    serde: BTreeSet<String>,
    shape: Shape,
}

impl Default for Declared {
    fn default() -> Self {
        Self { serde: BTreeSet::new(), shape: Shape::Unknown }
    }
}

fn owned(names: &[&str]) -> BTreeSet<String> {
    names.iter().copied().map(str::to_owned).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}
