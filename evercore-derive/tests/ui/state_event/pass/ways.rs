//! Every way to change a field of the state, also one inside others, and also of several states.

#![deny(warnings, missing_docs, unreachable_pub, missing_debug_implementations, clippy::all, clippy::pedantic)]

use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet, LinkedList, VecDeque},
    ops::AddAssign,
};

use evercore::{Aggregate, Apply, state_event};

/// A state with something inside.
#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Changed, Added, Applied, Both, Moved), snapshot = off)]
pub struct State {
    outer: Outer,
    pair: (u64, Inner),
    name: Name,
    list: Vec<Name>,
    queue: VecDeque<u8>,
    set: HashSet<u8>,
    tree: BTreeSet<u8>,
    chain: LinkedList<u8>,
    heap: BinaryHeap<u8>,
    map: BTreeMap<u8, String>,
    sum: i64,
    text: String,
    r#type: Inner,
}

#[derive(Debug, Default)]
struct Outer {
    inner: Box<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    value: u64,
    list: Vec<u64>,
}

#[derive(Debug, Default, PartialEq)]
struct Name(String);

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(name)
    }
}

/// A state of another form.
#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Both, Own), snapshot = off)]
pub struct Other(u64, Inner);

/// Fields inside others.
#[state_event(State)]
pub struct Changed {
    /// Set.
    #[state(path = "outer.inner.value")]
    pub first: u32,
    /// Set unless `None`.
    #[state(path = "pair.1.value")]
    pub second: Option<u64>,
    /// One that is a field of the state itself.
    #[state(path = "pair.0")]
    pub third: u64,
    /// Through a keyword.
    #[state(path = "type.value")]
    pub fourth: u64,
    /// Through the same, written otherwise.
    #[state(path = "r#type.list", push)]
    pub fifth: u64,
    /// One that is not there.
    #[cfg(any())]
    #[state(path = "missing.field", push)]
    pub sixth: u64,
    /// Into a newtype.
    pub name: String,
}

/// Values for collections.
#[state_event(State)]
pub struct Added {
    /// Converted.
    #[state(push)]
    pub list: String,
    /// Many, converted.
    #[state(extend, rename = "list")]
    pub more: Vec<String>,
    /// Perhaps one.
    #[state(push)]
    pub queue: Option<u8>,
    /// Perhaps many.
    #[state(rename = "queue", extend)]
    pub queued: Option<[u8; 2]>,
    /// One for a set.
    #[state(push)]
    pub set: u8,
    /// Many for a set.
    #[state(extend)]
    pub tree: BTreeSet<u8>,
    /// One for a list.
    #[state(push)]
    pub chain: u8,
    /// One for a heap.
    #[state(push)]
    pub heap: u8,
    /// An entry.
    #[state(push)]
    pub map: (u8, String),
    /// Entries.
    #[state(extend, rename = "map")]
    pub entries: BTreeMap<u8, String>,
    /// Inside others.
    #[state(extend, path = "outer.inner.list")]
    pub inner: Vec<u8>,
}

/// Values that functions bring into the state. Their names are those of the variables that one might expect.
#[state_event(State)]
pub struct Applied {
    /// A trait's function.
    #[state(with = AddAssign::add_assign)]
    pub sum: i64,
    /// A function that takes what the field dereferences to.
    #[state(with = String::push_str)]
    pub text: String,
    /// Perhaps one.
    #[state(rename = "sum", with = value)]
    pub factor: Option<i64>,
    /// Inside others.
    #[state(path = "outer.inner.value", with = functions::state)]
    pub step: u8,
    /// The state's own function.
    #[state(rename = "queue", with = State::event)]
    pub twice: u8,
}

fn value(sum: &mut i64, factor: &i64) {
    *sum *= factor;
}

mod functions {
    pub(super) fn state(value: &mut u64, step: &u8) {
        *value += u64::from(*step);
    }
}

impl State {
    fn event(queue: &mut VecDeque<u8>, item: &u8) {
        queue.extend([*item; 2]);
    }
}

/// For two states of which the options stand between.
#[state_event(State, name = "both", Other)]
pub struct Both {
    /// Only in the event.
    #[state(skip)]
    pub reason: String,
}

/// For a state without names.
#[state_event(Other)]
pub struct Own {
    /// A place.
    #[state(path = "0")]
    pub count: u8,
    /// Inside a place.
    #[state(path = "1.list", push)]
    pub item: u8,
}

macro_rules! event {
    ($name:ident: $state:ident, $field:ident, $ty:ty, $path:literal, $with:path;) => {
        /// Out of a macro.
        #[state_event($state)]
        pub struct $name {
            /// A field.
            #[state(path = $path, with = $with)]
            pub $field: $ty,
        }
    };
}

event! {
    Moved: State, state, Option<u8>, "outer.inner.value", functions::state;
}

fn main() {
    let mut state = State::default();
    state.apply(&Changed {
        first: 1,
        second: Some(2),
        third: 3,
        fourth: 4,
        fifth: 5,
        name: "n".into(),
    });
    assert_eq!((state.outer.inner.value, state.pair.1.value, state.pair.0), (1, 2, 3));
    assert_eq!((state.r#type.value, &state.r#type.list[..]), (4, &[5][..]));
    assert_eq!(state.name.0, "n");

    state.apply(&Added {
        list: "a".into(),
        more: vec!["b".into(), "c".into()],
        queue: Some(1),
        queued: Some([2, 3]),
        set: 4,
        tree: [5, 6].into(),
        chain: 7,
        heap: 8,
        map: (9, "d".into()),
        entries: [(10, "e".into())].into(),
        inner: vec![11, 12],
    });
    assert_eq!(state.list, ["a", "b", "c"].map(|name| Name(name.into())));
    assert_eq!(state.queue, [1, 2, 3]);
    assert_eq!((state.set.len(), state.tree.len(), state.chain.len(), state.heap.len()), (1, 2, 1, 1));
    assert_eq!(state.map.into_iter().collect::<Vec<_>>(), [(9, "d".into()), (10, "e".into())]);
    assert_eq!(state.outer.inner.list, [11, 12]);

    let mut state = State::default();
    state.apply(&Applied { sum: 3, text: "t".into(), factor: Some(-2), step: 5, twice: 6 });
    assert_eq!((state.sum, state.text.as_str(), state.outer.inner.value), (-6, "t", 5));
    assert_eq!(state.queue, [6, 6]);
    state.apply(&Moved { state: Some(1) });
    state.apply(&Moved { state: None });
    assert_eq!(state.outer.inner.value, 6);

    let mut other = Other::default();
    state.apply(&Both { reason: String::new() });
    other.apply(&Both { reason: String::new() });
    other.apply(&Own { count: 7, item: 8 });
    assert_eq!((other.0, &other.1.list[..]), (7, &[8][..]));
}
