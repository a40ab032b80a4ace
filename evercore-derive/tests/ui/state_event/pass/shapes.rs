//! Every way in which a field gets into the state.

#![deny(warnings, missing_docs, unreachable_pub, missing_debug_implementations, clippy::all, clippy::pedantic)]

use std::collections::BTreeSet;

use evercore::{Aggregate, Apply, event, state_event};

/// The state.
#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Filled, Changed, Nothing, OnlySkipped, First, Plain), snapshot = off)]
pub struct State {
    name: String,
    count: u64,
    note: Option<String>,
    r#type: u8,
    tags: BTreeSet<u8>,
}

/// Values as they are, by `From`, and under another name.
#[state_event(State)]
pub struct Filled {
    /// The same type.
    pub name: String,
    /// A type that converts.
    pub count: u32,
    /// A value for an `Option`.
    pub note: String,
    /// A name that is a keyword.
    pub r#type: u8,
    /// A field that is not there.
    #[cfg(any())]
    pub missing: String,
    /// A field that may not be there.
    #[cfg(all())]
    #[state(skip)]
    pub extra: (),
    /// A list that becomes a set.
    #[state(rename = "tags")]
    pub labels: [u8; 2],
}

/// Values that may be missing.
#[state_event(State, name = "changed", alias = "altered")]
#[derive(Default)]
pub struct Changed {
    /// Left alone by `None`.
    pub name: Option<String>,
    /// Left alone by `None`, else converted.
    pub count: Option<u32>,
    /// Set to `None` by `None`.
    #[state(assign)]
    pub note: std::option::Option<String>,
    /// Under another name.
    #[state(rename = "type")]
    pub kind: core::option::Option<u8>,
    /// Not for the state.
    #[state(skip)]
    pub reason: String,
}

/// Nothing to bring into the state.
#[state_event(State)]
pub struct Nothing;

/// Nothing that is to be brought into the state.
#[state_event(State)]
pub struct OnlySkipped {
    /// Not for the state.
    #[state(skip)]
    pub reason: String,
}

macro_rules! events {
    ($($name:ident: $state:ident, $field:ident, $ty:ty;)*) => { $(
        /// Out of a macro.
        #[state_event($state)]
        pub struct $name {
            /// A field.
            pub $field: $ty,
        }
    )* };
}

events! {
    First: State, count, Option<u64>;
}

/// No state event.
#[event]
pub struct Plain;

impl Apply<Plain> for State {
    fn apply(&mut self, _event: &Plain) {}
}

fn main() {
    let mut state = State::default();
    state.apply(&Filled { name: "a".into(), count: 1, note: "n".into(), r#type: 3, labels: [2, 1], extra: () });
    assert_eq!((state.name.as_str(), state.count, state.note.as_deref()), ("a", 1, Some("n")));
    assert_eq!((state.r#type, state.tags.len()), (3, 2));

    state.apply(&Changed { name: Some("b".into()), kind: Some(4), ..Changed::default() });
    assert_eq!((state.name.as_str(), state.count, state.note.as_deref()), ("b", 1, None));
    assert_eq!(state.r#type, 4);

    state.apply(&First { count: Some(9) });
    state.apply(&Nothing);
    state.apply(&OnlySkipped { reason: String::new() });
    state.apply(&Plain);
    assert_eq!(state.count, 9);
}
