//! Aggregates: what is rebuilt from events.

use std::{fmt, iter};

use crate::{
    DecodeError, Event, EventInfo, InvalidText, Payload, snapshot::Snapshots, text::Text, unique::name_bits,
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

    /// Whether and when snapshots are taken.
    const SNAPSHOTS: Snapshots<Self>;

    /// Decodes an event whose type is the one at `index` of [`EVENTS`](Self::EVENTS).
    ///
    /// # Errors
    ///
    /// When the payload does not have the shape of that type.
    fn decode_event(index: usize, payload: &Payload) -> Result<Self::Event, DecodeError>;

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
    note = "add it to `#[aggregate(events(…))]` on `{A}`"
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
    pub(crate) origin: &'static str,
    /// A bit for each name: two types that have no bit in common have no name in common.
    pub(crate) name_bits: u128,
}

impl EventType {
    /// The description of `E`.
    #[must_use]
    pub const fn of<E: Event>() -> Self {
        Self { name: E::NAME, aliases: E::ALIASES, origin: E::ORIGIN, name_bits: name_bits::<E>() }
    }

    /// The name and the aliases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Whether events of this type are or were stored under this name.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
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
}

impl AggregateType {
    /// The description of `A`.
    #[must_use]
    pub const fn of<A: Aggregate>() -> Self {
        Self { name: A::NAME, aliases: A::ALIASES, events: A::EVENTS }
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

    /// Whether aggregates of this type are or were stored under this name.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}
