//! What a file of shapes remembers of earlier versions.

use super::compare::reads;
use crate::{AggregateDescription, Description, EarlierShape, EventDescription};

impl Description {
    /// The aggregate that has this name, or had it once.
    pub(super) fn aggregate(&self, name: &str) -> Option<(&String, &AggregateDescription)> {
        let by_alias = || self.aggregates.iter().find(|(_, aggregate)| aggregate.aliases.contains(name));
        self.aggregates.get_key_value(name).or_else(by_alias)
    }

    /// Has all events begin with this version.
    pub(super) fn begin(&mut self, version: Option<&str>) {
        self.follow(&Self::default(), version);
    }

    /// Goes on from what was written down before.
    pub(super) fn follow(&mut self, before: &Self, version: Option<&str>) {
        for (name, aggregate) in &mut self.aggregates {
            let names: Vec<_> = aggregate.aliases.iter().chain([name]).cloned().collect();
            let before: Vec<_> = names.iter().filter_map(|name| before.aggregates.get(name)).collect();
            for (name, event) in &mut aggregate.events {
                let names: Vec<_> = event.aliases.iter().chain([name]).cloned().collect();
                let events =
                    before.iter().flat_map(|before| names.iter().filter_map(|name| before.events.get(name)));
                event.follow(&events.collect::<Vec<_>>(), version);
            }
        }
    }
}

impl AggregateDescription {
    /// The event that has this name, or had it once.
    pub(super) fn event(&self, name: &str) -> Option<(&String, &EventDescription)> {
        let by_alias = || self.events.iter().find(|(_, event)| event.aliases.contains(name));
        self.events.get_key_value(name).or_else(by_alias)
    }

    /// Whether events that are stored under this name are no surprise.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.ignores.contains(name) || self.event(name).is_some()
    }
}

impl EventDescription {
    /// Goes on from what the event was under all of its names. Forms that cannot be read were given up.
    fn follow(&mut self, before: &[&Self], version: Option<&str>) {
        let since = before.iter().find_map(|before| before.since.clone());
        self.since = since.or_else(|| version.filter(|_| before.is_empty()).map(str::to_owned));
        for before in before {
            let last = EarlierShape { serde: before.serde.clone(), shape: before.shape.clone() };
            for earlier in before.earlier.iter().cloned().chain([last]) {
                let is_same = (&earlier.serde, &earlier.shape) == (&self.serde, &self.shape);
                if !is_same && !self.earlier.contains(&earlier) && reads(self, &earlier) {
                    self.earlier.push(earlier);
                }
            }
        }
    }
}
