//! What becomes of stored events when their declarations change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{AggregateDescription, Description, EarlierShape, EventDescription, FieldDescription, Shape};

const UPCAST: &str = "keep the old form as an `#[event]` of its own and name it in `upcasts(…)`";

const UNSEEN: &str = "see by a test that events of the old form are still read";

/// A change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    place: String,
    what: String,
    /// What to do, when stored events can no longer be read.
    advice: Option<String>,
}

impl Finding {
    pub(super) fn is_breaking(&self) -> bool {
        self.advice.is_some()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "- {}: {}.", self.place, self.what)?;
        match &self.advice {
            Some(advice) => write!(f, "\n  To do: {advice}."),
            None => Ok(()),
        }
    }
}

/// All changes from what is written down to what is declared.
pub(super) fn compare(locked: &Description, current: &Description) -> Vec<Finding> {
    let mut findings = Findings::default();
    for (name, old) in &locked.aggregates {
        let successor = current.aggregate(name).map(|(new_name, _)| new_name);
        for stored in old.aliases.iter().chain([name]) {
            let advice = format!("keep it, or give its successor `#[aggregate(alias = {stored:?})]`");
            match current.aggregate(stored) {
                Some((new_name, _)) if successor.is_some_and(|successor| successor != new_name) => {
                    findings.breaks(stored, format!("what is stored belongs to {new_name} now"), advice);
                }
                Some((new_name, _)) if new_name == stored || old.aliases.contains(stored) => {}
                Some((new_name, _)) => findings.add(stored, format!("is called {new_name} now")),
                None => findings.breaks(stored, "no aggregate has this name any more".to_owned(), advice),
            }
        }
        if let Some((new_name, new)) = current.aggregate(name) {
            compare_aggregates(new_name, old, new, &mut findings);
        }
    }
    let is_known = |name: &String, new: &AggregateDescription| {
        locked.aggregates.contains_key(name)
            || new.aliases.iter().any(|alias| locked.aggregates.contains_key(alias))
    };
    for (name, _) in current.aggregates.iter().filter(|(name, new)| !is_known(name, new)) {
        findings.add(name, "is new".to_owned());
    }
    findings.0
}

/// Whether events of an earlier shape are still read.
pub(super) fn reads(new: &EventDescription, earlier: &EarlierShape) -> bool {
    let mut findings = Findings::default();
    compare_shapes("", (&earlier.serde, &earlier.shape), (&new.serde, &new.shape), &mut findings);
    !findings.0.iter().any(Finding::is_breaking)
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, place: &str, what: String) {
        self.push(Finding { place: place.to_owned(), what, advice: None });
    }

    fn breaks(&mut self, place: &str, what: String, advice: String) {
        self.push(Finding { place: place.to_owned(), what, advice: Some(advice) });
    }

    /// Two forms of an event may have the same fault.
    fn push(&mut self, finding: Finding) {
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }
}

fn compare_aggregates(
    name: &str,
    old: &AggregateDescription,
    new: &AggregateDescription,
    findings: &mut Findings,
) {
    for stored in &old.ignores {
        let place = format!("{name}, event {stored}");
        if !new.knows(stored) {
            let advice = format!("put it back into `#[aggregate(ignores({stored:?}))]`");
            findings.breaks(&place, "it was ignored, and is unknown now".to_owned(), advice);
        }
    }
    for (event, old) in &old.events {
        let place = format!("{name}, event {event}");
        for stored in old.aliases.iter().chain(&old.upcasts).filter(|stored| !new.knows(stored)) {
            let advice = "put the alias or the older form back".to_owned();
            findings.breaks(&place, format!("the name {stored} is unknown now"), advice);
        }
        match new.event(event) {
            Some((new_name, successor)) => {
                let elsewhere = |alias: &&String| {
                    new.event(alias)
                        .filter(|(name, _)| *name != new_name && !successor.upcasts.contains(*name))
                };
                for (alias, (other, _)) in
                    old.aliases.iter().filter_map(|alias| Some((alias, elsewhere(&alias)?)))
                {
                    let advice = format!("take {alias:?} away from {other}, and give it back to {new_name}");
                    findings.breaks(
                        &place,
                        format!("what is stored as {alias} is read as {other} now"),
                        advice,
                    );
                }
                let new = successor;
                if new_name != event {
                    findings.add(&place, format!("is called {new_name} now"));
                }
                compare_events(&place, old, new, findings);
            }
            None if new.ignores.contains(event) => findings.add(&place, "is ignored now".to_owned()),
            None => {
                let advice = format!(
                    "keep it; or give its successor `alias = {event:?}`, or {UPCAST}; or, when it is of no interest any \
                     more, write `#[aggregate(ignores({event:?}))]`"
                );
                findings.breaks(&place, "the aggregate does not know it any more".to_owned(), advice);
            }
        }
    }
    let is_known = |event: &String, new: &EventDescription| {
        old.events.contains_key(event) || new.aliases.iter().any(|alias| old.events.contains_key(alias))
    };
    for (event, _) in new.events.iter().filter(|(event, new)| !is_known(event, new)) {
        findings.add(&format!("{name}, event {event}"), "is new".to_owned());
    }
}

fn compare_events(place: &str, old: &EventDescription, new: &EventDescription, findings: &mut Findings) {
    compare_shapes(place, (&old.serde, &old.shape), (&new.serde, &new.shape), findings);
    for earlier in old.earlier.iter().filter(|earlier| !reads(new, earlier)) {
        let mut broken = Findings::default();
        compare_shapes(place, (&earlier.serde, &earlier.shape), (&new.serde, &new.shape), &mut broken);
        for finding in broken.0.into_iter().filter(Finding::is_breaking) {
            let what = format!("in an earlier form, {}", finding.what);
            findings.push(Finding { what, ..finding });
        }
    }
}

/// What serde is told about something, and what it consists of.
type Declared<'a> = (&'a BTreeSet<String>, &'a Shape);

fn compare_shapes(place: &str, old: Declared<'_>, new: Declared<'_>, findings: &mut Findings) {
    compare_attributes(place, "it", old.0, new.0, findings);
    let denies_unknown = new.0.contains("deny_unknown_fields");
    match (old.1, new.1) {
        (Shape::Unknown, Shape::Unknown) | (Shape::Unit, Shape::Unit) => {}
        (Shape::Unknown, _) | (_, Shape::Unknown) => {
            let what = "how it is read could not be seen before, or cannot now".to_owned();
            findings.breaks(place, what, UNSEEN.to_owned());
        }
        (Shape::Fields(old), Shape::Fields(new)) => compare_fields(place, old, new, denies_unknown, findings),
        (Shape::Values(old), Shape::Values(new)) => compare_values(place, old, new, findings),
        (old, new) => {
            let what = format!("{} became {}", kind(old), kind(new));
            findings.breaks(place, what, UPCAST.to_owned());
        }
    }
}

fn kind(shape: &Shape) -> &'static str {
    match shape {
        Shape::Unknown => "something unknown",
        Shape::Unit => "a struct without fields",
        Shape::Values(_) => "a struct of values without names",
        Shape::Fields(_) => "a struct with named fields",
    }
}

/// What an attribute does cannot be told; that none was changed can.
fn compare_attributes(
    place: &str,
    what: &str,
    old: &BTreeSet<String>,
    new: &BTreeSet<String>,
    findings: &mut Findings,
) {
    // Without it more is read than with it.
    let changed = old
        .symmetric_difference(new)
        .filter(|attribute| *attribute != "deny_unknown_fields" || new.contains(*attribute));
    let changed: Vec<_> = changed.map(|attribute| format!("`{attribute}`")).collect();
    if !changed.is_empty() {
        let what = format!("{what} is stored or read in another way: {}", changed.join(", "));
        findings.breaks(place, what, UNSEEN.to_owned());
    }
}

fn compare_fields(
    place: &str,
    old: &BTreeMap<String, FieldDescription>,
    new: &BTreeMap<String, FieldDescription>,
    denies_unknown: bool,
    findings: &mut Findings,
) {
    for (name, field) in old {
        let by_alias = || new.iter().find(|(_, new)| new.aliases.contains(name));
        match new.get_key_value(name).or_else(by_alias) {
            Some((new_name, new_field)) => {
                if new_name != name && old.contains_key(new_name) {
                    let what =
                        format!("old events have both `{name}` and `{new_name}`, which are one field now");
                    findings.breaks(place, what, UPCAST.to_owned());
                } else if new_name != name {
                    findings.add(place, format!("field `{name}` is called `{new_name}` now"));
                }
                let is_read = |alias: &&String| {
                    new.contains_key(*alias) || new.values().any(|new| new.aliases.contains(*alias))
                };
                for alias in field.aliases.iter().filter(|alias| !is_read(alias)) {
                    let what = format!("field `{new_name}` is not read as `{alias}` any more");
                    findings.breaks(place, what, format!("put `#[serde(alias = {alias:?})]` back"));
                }
                let new = new_field;
                compare_types(place, name, field, new, findings);
            }
            None if denies_unknown => {
                let advice = "keep the field, or take `deny_unknown_fields` away".to_owned();
                findings.breaks(place, format!("field `{name}` was removed, and old events have it"), advice);
            }
            None => {
                findings.add(place, format!("field `{name}` was removed; old events are read without it"));
            }
        }
    }
    let had = |name: &String, field: &FieldDescription| {
        old.contains_key(name) || field.aliases.iter().any(|alias| old.contains_key(alias))
    };
    for (name, field) in new.iter().filter(|(name, field)| !had(name, field)) {
        let ty = &field.ty;
        if field.serde.contains("flatten") {
            let what = format!("field `{name}: {ty}` was added, which takes what other fields leave");
            findings.breaks(place, what, UNSEEN.to_owned());
            continue;
        }
        if field.optional {
            findings.add(place, format!("field `{name}: {ty}` was added, and may be missing in old events"));
            continue;
        }
        let gone = old.iter().find(|(name, old)| old.ty == *ty && !new.contains_key(*name));
        let rename = gone.map_or_else(String::new, |(old, _)| {
            format!("if `{old}` was renamed, write `#[serde(alias = {old:?})]` on it; else ")
        });
        let what = format!("field `{name}: {ty}` was added, and old events do not have it");
        let advice = format!("{rename}give it `#[serde(default)]`, or make it an `Option`, or {UPCAST}");
        findings.breaks(place, what, advice);
    }
    let may_be_missing = |(name, field): &(&String, &FieldDescription)| {
        let mut old = field.aliases.iter().chain([*name]).filter_map(|name| old.get(name));
        !field.optional && old.any(|old| old.optional)
    };
    for (name, _) in new.iter().filter(may_be_missing) {
        let what = format!("field `{name}` may be missing in old events, and has to be there now");
        findings.breaks(place, what, format!("give it `#[serde(default)]`, or {UPCAST}"));
    }
}

fn compare_types(
    place: &str,
    name: &str,
    old: &FieldDescription,
    new: &FieldDescription,
    findings: &mut Findings,
) {
    compare_attributes(place, &format!("field `{name}`"), &old.serde, &new.serde, findings);
    if old.ty == new.ty {
        return;
    }
    let what = format!("the type of field `{name}` was changed from `{}` to `{}`", old.ty, new.ty);
    // A function that reads the field decides what it is in the store.
    match new.serde.is_empty() && types::reads(&new.ty, &old.ty) {
        true => findings.add(place, what),
        false => findings.breaks(place, what, UPCAST.to_owned()),
    }
}

fn compare_values(place: &str, old: &[FieldDescription], new: &[FieldDescription], findings: &mut Findings) {
    if old.len() != new.len() {
        let what = format!("it had {} values, and has {} now", old.len(), new.len());
        return findings.breaks(place, what, UPCAST.to_owned());
    }
    for (index, (old, new)) in old.iter().zip(new).enumerate() {
        compare_types(place, &index.to_string(), old, new, findings);
        if old.optional && !new.optional {
            let what = format!("value {index} may be missing in old events, and has to be there now");
            findings.breaks(place, what, format!("give it `#[serde(default)]`, or {UPCAST}"));
        }
    }
}

mod types;

#[cfg(test)]
mod tests;
