//! Names that must not mean two things: checked while the crate that writes them is compiled.
//!
//! The checks run once for each event of an aggregate and for each part of a registry, so that an error
//! stands at the guilty one and no single evaluation grows too long.

use crate::{Aggregate, AggregateType, Event, EventType, RegisteredTypes, Registry, hash::fnv1a};

/// Refuses an event that has the name or an alias of one which its aggregate lists before it.
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
            && let Some(name) = Names::of_event(event).shared_with(Names::of_event(&events[earlier]))
        {
            let message = Message::new()
                .with("`")
                .with(name)
                .with("` is the name or an alias of two events of `")
                .with(A::NAME)
                .with("`: give one of them another with `#[event(name = \"…\")]`");
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
            let shared = Names::of_event(event).shared_with(Names::of_event(&others[index]));
            if shared.is_some() && !equal(event.origin, others[index].origin) {
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

/// One of 128 bits for each name of `E`.
pub(crate) const fn name_bits<E: Event>() -> u128 {
    let mut bits = 1_u128 << (fnv1a(E::NAME.as_bytes()) % 128);
    let mut index = 0;
    while index < E::ALIASES.len() {
        bits |= 1 << (fnv1a(E::ALIASES[index].as_bytes()) % 128);
        index += 1;
    }
    bits
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

    const fn shared_with(self, other: Self) -> Option<&'static str> {
        if other.contain(self.name) {
            return Some(self.name);
        }
        let mut index = 0;
        while index < self.aliases.len() {
            if other.contain(self.aliases[index]) {
                return Some(self.aliases[index]);
            }
            index += 1;
        }
        None
    }

    const fn contain(self, name: &str) -> bool {
        if equal(self.name, name) {
            return true;
        }
        let mut index = 0;
        while index < self.aliases.len() {
            if equal(self.aliases[index], name) {
                return true;
            }
            index += 1;
        }
        false
    }
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
