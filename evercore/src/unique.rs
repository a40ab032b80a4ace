//! Names that must not mean two things: checked while the crate that writes them is compiled.
//!
//! The checks run once for each event of an aggregate and for each part of a registry, so that an error
//! stands at the guilty one and no single evaluation grows too long.

use crate::{
    Aggregate, AggregateType, Event, EventType, RegisteredTypes, Registry, hash::fnv1a, upcast::GENERATIONS,
};

/// Refuses an event that has the name or an alias of one which its aggregate lists before it, older forms
/// included.
///
/// # Panics
///
/// At compile time, then.
#[track_caller]
pub const fn check_event<A: Aggregate>(index: usize) {
    let (events, event) = (A::EVENTS, &A::EVENTS[index]);
    let mut earlier = 0;
    while earlier < index {
        if may_share(event, &events[earlier])
            && let Some(name) = shared(event, &events[earlier], Owners::Any)
        {
            let message = Message::new().with("`").with(name).with("` is ");
            let message = match upcast_by(event, &events[earlier], name) {
                Upcast::No => message
                    .with("the name or an alias of two events of `")
                    .with(A::NAME)
                    .with("`: give one of them another with `#[event(name = \"…\")]`"),
                Upcast::ByOne => message
                    .with("listed by `")
                    .with(A::NAME)
                    .with("`, and so is an event that upcasts it: list the newer one alone"),
                Upcast::ByBoth => message
                    .with("upcast by two events of `")
                    .with(A::NAME)
                    .with("`: stored ones become one event, so let one of the two upcast it"),
            };
            panic!("{}", message.text());
        }
        earlier += 1;
    }
}

/// Refuses an ignored name that is one of a listed event.
///
/// # Panics
///
/// At compile time, then.
#[track_caller]
pub const fn check_ignored<A: Aggregate>(index: usize) {
    let (events, name) = (A::EVENTS, A::IGNORED[index]);
    let mut listed = 0;
    while listed < events.len() {
        if owner(&events[listed], name).is_some() {
            let message = Message::new()
                .with("`")
                .with(name)
                .with("` is ignored, and it is a name of the listed event `")
                .with(events[listed].name)
                .with("` or of an older form of it: take it out of `ignores(…)`");
            panic!("{}", message.text());
        }
        listed += 1;
    }
}

/// Refuses an older form from which no single way leads to `E`, or which has a name that is taken.
///
/// # Panics
///
/// At compile time, then.
#[track_caller]
pub const fn check_upcast<E: Event>(index: usize) {
    let (ancestors, ancestor) = (E::ANCESTORS, &E::ANCESTORS[index]);
    if goes_round(ancestors) {
        // Each event of the round comes here, and one of them is enough to tell.
        if leads_back(ancestor, &EventType::older::<E>(&[]), None) {
            let message = Message::new()
                .with("`")
                .with(E::NAME)
                .with("` is upcast to itself, by way of `")
                .with(ancestor.name)
                .with("`: upcasting leads from older forms to newer ones, so take an `upcasts(…)` of this round out");
            panic!("{}", message.text());
        }
        return;
    }
    if owner(ancestor, EventType::END.name).is_some() {
        let message = Message::new()
            .with("`")
            .with(E::NAME)
            .with("` has more than ")
            .with(GENERATIONS)
            .with(" generations of older forms: let it upcast the oldest of them directly");
        panic!("{}", message.text());
    }
    if let Some(name) = shared(&EventType::older::<E>(&[]), ancestor, Owners::Any) {
        let message = Message::new()
            .with("`")
            .with(name)
            .with("` is a name of the event and of an older form of it: stored events tell the two apart by their ")
            .with("names, so give the newer one another with `#[event(name = \"…\")]`");
        panic!("{}", message.text());
    }
    let mut earlier = 0;
    while earlier < index {
        if let Some(name) = shared(ancestor, &ancestors[earlier], Owners::Any) {
            let message =
                Message::new().with("two ways lead from `").with(name).with("` to `").with(E::NAME).with(
                    "`: stored events take one, so let one of the older forms go, or give it another name",
                );
            panic!("{}", message.text());
        }
        earlier += 1;
    }
}

/// Refuses a part of a registry that has an aggregate, or another event type, of a name which a part before
/// it has.
///
/// # Panics
///
/// At compile time, then.
#[track_caller]
pub const fn check_part<R: Registry>(index: usize) {
    let RegisteredTypes::Registry(parts) = R::TYPES else { return };
    let mut earlier = 0;
    while earlier < index {
        if let Some(message) = conflict(&parts[index], &parts[earlier]) {
            panic!("{}", message.text());
        }
        earlier += 1;
    }
}

const fn conflict(one: &RegisteredTypes, other: &RegisteredTypes) -> Option<Message> {
    match (one, other) {
        (RegisteredTypes::Aggregate(one), RegisteredTypes::Aggregate(other)) => {
            conflict_of_aggregates(one, other)
        }
        (RegisteredTypes::Registry(parts), whole) | (whole, RegisteredTypes::Registry(parts)) => {
            let mut index = 0;
            while index < parts.len() {
                let message = conflict(&parts[index], whole);
                if message.is_some() {
                    return message;
                }
                index += 1;
            }
            None
        }
    }
}

const fn conflict_of_aggregates(one: &AggregateType, other: &AggregateType) -> Option<Message> {
    if let Some(name) = Names::of_aggregate(one).shared_with(Names::of_aggregate(other)) {
        return Some(
            Message::new()
                .with("`")
                .with(name)
                .with("` is the name or an alias of two aggregates of this registry: list it once, or give ")
                .with("one of them another with `#[aggregate(name = \"…\")]`"),
        );
    }
    let mut index = 0;
    while index < one.events.len() {
        if let Some(name) = conflicting_event(&one.events[index], other.events) {
            return Some(
                Message::new()
                    .with("`")
                    .with(name)
                    .with("` is the name or an alias of two event types, one of `")
                    .with(other.name)
                    .with("` and one of `")
                    .with(one.name)
                    .with("`: give one of them another with `#[event(name = \"…\")]`, or list the same type"),
            );
        }
        index += 1;
    }
    None
}

const fn conflicting_event(event: &EventType, others: &[EventType]) -> Option<&'static str> {
    let mut index = 0;
    while index < others.len() {
        if may_share(event, &others[index]) {
            let shared = shared(event, &others[index], Owners::OfTwoTypes);
            if shared.is_some() {
                return shared;
            }
        }
        index += 1;
    }
    None
}

/// Whether the two may have a name in common. This is asked of every pair of events in a registry, and the
/// compiler refuses evaluations that take long.
const fn may_share(one: &EventType, other: &EventType) -> bool {
    one.name_bits & other.name_bits != 0
}

/// One of 128 bits for each name of the event and its older forms.
pub(crate) const fn name_bits(event: &EventType) -> u128 {
    let mut bits = 1_u128 << (fnv1a(event.name.as_bytes()) % 128);
    let mut index = 0;
    while index < event.aliases.len() {
        bits |= 1 << (fnv1a(event.aliases[index].as_bytes()) % 128);
        index += 1;
    }
    let mut index = 0;
    while index < event.ancestors.len() {
        bits |= name_bits(&event.ancestors[index]);
        index += 1;
    }
    bits
}

/// Which common names count.
#[derive(Clone, Copy)]
enum Owners {
    Any,
    /// Those under which the two understand different types.
    OfTwoTypes,
}

/// A name that two events have in common, older forms included.
const fn shared(one: &EventType, other: &EventType, owners: Owners) -> Option<&'static str> {
    let names = Names::of_event(one);
    let mut index = 0;
    while index < names.len() {
        if let Some(owner) = owner(other, names.get(index))
            && (matches!(owners, Owners::Any) || !equal(owner.origin, one.origin))
        {
            return Some(names.get(index));
        }
        index += 1;
    }
    let mut index = 0;
    while index < one.ancestors.len() {
        let name = shared(&one.ancestors[index], other, owners);
        if name.is_some() {
            return name;
        }
        index += 1;
    }
    None
}

/// The event or older form of it that has this name.
const fn owner<'a>(event: &'a EventType, name: &str) -> Option<&'a EventType> {
    if Names::of_event(event).contain(name) {
        return Some(event);
    }
    let mut index = 0;
    while index < event.ancestors.len() {
        let owner = owner(&event.ancestors[index], name);
        if owner.is_some() {
            return owner;
        }
        index += 1;
    }
    None
}

/// Whether a name that two events have in common is one of their own.
enum Upcast {
    No,
    ByOne,
    ByBoth,
}

const fn upcast_by(one: &EventType, other: &EventType, name: &str) -> Upcast {
    match (Names::of_event(one).contain(name), Names::of_event(other).contain(name)) {
        (true, true) => Upcast::No,
        (false, false) => Upcast::ByBoth,
        (true, false) | (false, true) => Upcast::ByOne,
    }
}

/// The events on the way from an event to one of its older forms.
struct Way<'a> {
    event: &'a EventType,
    before: Option<&'a Way<'a>>,
}

impl Way<'_> {
    const fn contains(&self, event: &EventType) -> bool {
        let mut way = Some(self);
        while let Some(Way { event: passed, before }) = way {
            if is_same(passed, event) {
                return true;
            }
            way = *before;
        }
        false
    }
}

/// Whether one of these events is an older form of itself.
pub(crate) const fn goes_round(ancestors: &[EventType]) -> bool {
    comes_again(ancestors, None)
}

const fn comes_again(ancestors: &[EventType], before: Option<&Way<'_>>) -> bool {
    let mut index = 0;
    while index < ancestors.len() {
        let event = &ancestors[index];
        if let Some(before) = before
            && before.contains(event)
        {
            return true;
        }
        if comes_again(event.ancestors, Some(&Way { event, before })) {
            return true;
        }
        index += 1;
    }
    false
}

/// Whether the way goes on to `end`, by events that are before it in the order of their origins: of a round, only
/// the last one leads back to itself then.
const fn leads_back(event: &EventType, end: &EventType, before: Option<&Way<'_>>) -> bool {
    if is_same(event, end) {
        return true;
    }
    if !is_before(event.origin, end.origin) {
        return false;
    }
    if let Some(before) = before
        && before.contains(event)
    {
        return false;
    }
    let mut index = 0;
    while index < event.ancestors.len() {
        if leads_back(&event.ancestors[index], end, Some(&Way { event, before })) {
            return true;
        }
        index += 1;
    }
    false
}

/// An older form without a type has the origin of the event that upcasts it.
const fn is_same(one: &EventType, other: &EventType) -> bool {
    equal(one.origin, other.origin) && equal(one.name, other.name)
}

/// All names of one type.
#[derive(Clone, Copy)]
struct Names {
    name: &'static str,
    aliases: &'static [&'static str],
}

impl Names {
    const fn of_event(event: &EventType) -> Self {
        Self { name: event.name, aliases: event.aliases }
    }

    const fn of_aggregate(aggregate: &AggregateType) -> Self {
        Self { name: aggregate.name, aliases: aggregate.aliases }
    }

    const fn len(self) -> usize {
        self.aliases.len() + 1
    }

    /// The name, and then the aliases.
    const fn get(self, index: usize) -> &'static str {
        if index == 0 { self.name } else { self.aliases[index - 1] }
    }

    const fn shared_with(self, other: Self) -> Option<&'static str> {
        let mut index = 0;
        while index < self.len() {
            if other.contain(self.get(index)) {
                return Some(self.get(index));
            }
            index += 1;
        }
        None
    }

    const fn contain(self, name: &str) -> bool {
        let mut index = 0;
        while index < self.len() {
            if equal(self.get(index), name) {
                return true;
            }
            index += 1;
        }
        false
    }
}

/// Whether one text is before the other, byte by byte.
const fn is_before(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() {
        if one[index] != other[index] {
            return one[index] < other[index];
        }
        index += 1;
    }
    one.len() < other.len()
}

const fn equal(one: &str, other: &str) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// A text put together during constant evaluation, where nothing can be formatted.
struct Message {
    bytes: [u8; Self::CAPACITY],
    length: usize,
}

impl Message {
    /// Enough for the longest sentence above with three names of the greatest length.
    const CAPACITY: usize = 1024;

    const fn new() -> Self {
        Self { bytes: [0; Self::CAPACITY], length: 0 }
    }

    const fn with(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() && self.length < Self::CAPACITY {
            self.bytes[self.length] = bytes[index];
            self.length += 1;
            index += 1;
        }
        self
    }

    const fn text(&self) -> &str {
        match str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(text) => text,
            Err(_) => "two types have one name",
        }
    }
}
