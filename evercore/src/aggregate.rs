//! Aggregates: what is rebuilt from events.

use std::{fmt, iter};

use crate::{
    DecodeError, Event, EventInfo, InvalidText, Payload,
    snapshot::Snapshots,
    text::Text,
    unique::{goes_round, name_bits},
};

/// Why a state was refused by the `validate` function of its aggregate.
pub type ValidationError = Box<dyn std::error::Error + Send + Sync>;

/// A state that is rebuilt from its events; implemented by `#[derive(Aggregate)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    note = "put `#[derive(Aggregate)]` and `#[aggregate(events(…))]` on it",
    note = "an id without a type (`Untyped`) becomes one of an aggregate `A` by `.typed::<A>()`"
)]
pub trait Aggregate: Default + Send + Sync + 'static {
    /// One of the events of this aggregate: the enum that the derive writes.
    type Event: fmt::Debug + Send + Sync + 'static;

    /// The name under which aggregates of this type are stored.
    const NAME: &'static str;

    /// Names under which aggregates of this type were stored in the past.
    const ALIASES: &'static [&'static str];

    /// The events of this aggregate.
    const EVENTS: &'static [EventType];

    /// Names of stored events that are passed over.
    const IGNORED: &'static [&'static str] = &[];

    /// Whether and when snapshots are taken.
    const SNAPSHOTS: Snapshots<Self>;

    /// Decodes an event whose type is the one at `index` of [`EVENTS`](Self::EVENTS), stored under the name
    /// `event_type`: its own, an alias, or that of an older form, which is upcast. The index after the last is
    /// that of the [events that are passed over](Self::IGNORED), which all become one variant.
    ///
    /// # Errors
    ///
    /// When the payload does not have the shape of that type, or cannot be upcast.
    fn decode_event(index: usize, event_type: &str, payload: &Payload) -> Result<Self::Event, DecodeError>;

    /// Changes the state as the event says.
    fn apply_event(&mut self, event: &Self::Event, info: &EventInfo);

    /// Makes a change, unless the state that it leads to is not valid: then the state stays what it was.
    ///
    /// # Errors
    ///
    /// What the aggregate's `validate` function answers.
    fn change(&mut self, change: impl FnOnce(&mut Self)) -> Result<(), ValidationError>;
}

/// What an event does to a state.
///
/// State events get this by `#[state_event(State)]`; for all others the user writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what `{E}` does to it",
    label = "`Apply<{E}>` is not implemented for `{Self}`",
    note = "write `impl Apply<{E}> for {Self} {{ fn apply(&mut self, event: &{E}) {{ … }} }}`",
    note = "or make `{E}` a `#[state_event({Self})]`"
)]
pub trait Apply<E> {
    /// Changes the state as the event says. It must not fail: what happened, happened.
    fn apply(&mut self, event: &E);

    /// The same, knowing time, reference, metadata and sequence of the event. By default this is `apply`.
    fn apply_with(&mut self, event: &E, info: &EventInfo) {
        let _ = info;
        self.apply(event);
    }
}

/// Says that this event is listed by the aggregate `A`; implemented by `#[derive(Aggregate)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event of `{A}`",
    label = "not listed by `{A}`",
    note = "add it to `#[aggregate(events(…))]` on `{A}`",
    note = "an older form, which another event upcasts, is a plain `#[event]`: the newer one is listed and applied"
)]
pub trait EventOf<A>: Event {
    /// The place of this type in the aggregate's [`EVENTS`](Aggregate::EVENTS).
    const INDEX: usize;

    /// Changes the state as the event says.
    fn apply_to(&self, state: &mut A, info: &EventInfo);
}

/// An event type as data.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EventType {
    /// The name that is stored.
    pub name: &'static str,
    /// Names that were stored in the past.
    pub aliases: &'static [&'static str],
    /// The older forms that are upcast to it directly. They may have older forms in turn.
    pub ancestors: &'static [Self],
    pub(crate) origin: &'static str,
    pub(crate) declaration: &'static str,
    /// A bit for each name, those of older forms included: two types that have no bit in common have no name
    /// in common. Zero for an older form, which is looked at only as a part.
    pub(crate) name_bits: u128,
}

impl EventType {
    /// Stands for the older forms that are too many to be followed. No event has an empty name.
    pub(crate) const END: Self = Self::named("", "");

    /// The description of `E`.
    #[must_use]
    pub const fn of<E: Event>() -> Self {
        // Of a chain that goes round, the check of `upcasts(…)` tells the user; nothing else should.
        let ancestors = if goes_round(E::ANCESTORS) { &[] } else { E::ANCESTORS };
        let event = Self::older::<E>(ancestors);
        Self { name_bits: name_bits(&event), ..event }
    }

    /// The description of `E` as an older form of another.
    pub(crate) const fn older<E: Event>(ancestors: &'static [Self]) -> Self {
        let (name, aliases, origin, declaration) = (E::NAME, E::ALIASES, E::ORIGIN, E::DECLARATION);
        Self { name, aliases, ancestors, origin, declaration, name_bits: 0 }
    }

    /// An older form that has no Rust type.
    pub(crate) const fn named(name: &'static str, origin: &'static str) -> Self {
        Self { name, aliases: &[], ancestors: &[], origin, declaration: "", name_bits: 0 }
    }

    /// Its name, its aliases, and those of its older forms.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let own = iter::once(self.name).chain(self.aliases.iter().copied());
        own.chain(self.ancestors.iter().flat_map(Self::names)).collect()
    }

    /// Whether events of this type, or older forms of it, are or were stored under this name.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name_to_store(name).is_some()
    }

    /// The name under which an event is stored that is brought under this one. An alias stands for the name; an
    /// older form keeps its own, because the payload has its shape.
    pub(crate) fn name_to_store(&self, name: &str) -> Option<&'static str> {
        if self.name == name || self.aliases.contains(&name) {
            return Some(self.name);
        }
        self.ancestors.iter().find_map(|ancestor| ancestor.name_to_store(name))
    }
}

/// An aggregate type as data.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AggregateType {
    /// The name that is stored.
    pub name: &'static str,
    /// Names that were stored in the past.
    pub aliases: &'static [&'static str],
    /// The events that it lists.
    pub events: &'static [EventType],
    /// Names of stored events that it passes over.
    pub ignored: &'static [&'static str],
}

impl AggregateType {
    /// The description of `A`.
    #[must_use]
    pub const fn of<A: Aggregate>() -> Self {
        Self { name: A::NAME, aliases: A::ALIASES, events: A::EVENTS, ignored: A::IGNORED }
    }

    /// Refuses names that no store can keep. The macros refuse them at compile time.
    pub(crate) fn check_names(&self) -> Result<(), InvalidText> {
        self.names().try_for_each(|name| Text::AGGREGATE_TYPE.check(name))?;
        self.events.iter().flat_map(EventType::names).try_for_each(|name| Text::EVENT_TYPE.check(name))
    }

    /// The name and the aliases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Which event is stored under this name: its place in the list, or the place after the last for all
    /// events that are passed over.
    pub(crate) fn event_index(&self, name: &str) -> Option<usize> {
        let listed = self.events.iter().position(|listed| listed.is_named(name));
        listed.or_else(|| self.ignored.contains(&name).then_some(self.events.len()))
    }

    /// Whether aggregates of this type are or were stored under this name.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}
