//! Newtypes for the numbers that identify things in a store.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    num::ParseIntError,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The aggregate type of an [`AggregateId`] whose type is not known at compile time.
#[derive(Debug, Clone, Copy)]
pub enum Untyped {}

/// The id of an aggregate of type `A`, unique within a store over all aggregate types.
///
/// It is a plain number: cheap to copy, to compare, to print and to put into events.
///
/// ```
/// use evercore::AggregateId;
///
/// let id: AggregateId = "42".parse()?;
/// assert_eq!(id, AggregateId::new(42));
/// assert_eq!(id.to_string(), "42");
/// # Ok::<(), std::num::ParseIntError>(())
/// ```
pub struct AggregateId<A = Untyped> {
    value: i64,
    aggregate: PhantomData<fn() -> A>,
}

impl<A> AggregateId<A> {
    /// The id with this number.
    #[must_use]
    pub const fn new(value: i64) -> Self {
        Self { value, aggregate: PhantomData }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.value
    }

    /// The same id without its type.
    #[must_use]
    pub const fn untyped(self) -> AggregateId {
        AggregateId::new(self.value)
    }
}

impl AggregateId {
    /// The same id as one of an aggregate of type `A`; a wrong type is found out when it is loaded.
    #[must_use]
    pub const fn typed<A>(self) -> AggregateId<A> {
        AggregateId::new(self.value)
    }
}

// Derives would ask for the same traits on `A`.
impl<A> Clone for AggregateId<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for AggregateId<A> {}

impl<A> PartialEq for AggregateId<A> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<A> Eq for AggregateId<A> {}

impl<A> PartialOrd for AggregateId<A> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<A> Ord for AggregateId<A> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.cmp(&other.value)
    }
}

impl<A> Hash for AggregateId<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl<A> fmt::Debug for AggregateId<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AggregateId({})", self.value)
    }
}

impl<A> fmt::Display for AggregateId<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<A> FromStr for AggregateId<A> {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::new)
    }
}

impl<A> Serialize for AggregateId<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, A> Deserialize<'de> for AggregateId<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self::new)
    }
}

macro_rules! number {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(
            Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// The value with this number.
            #[must_use]
            pub const fn new(value: i64) -> Self {
                Self(value)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// What a store writes in place of the name of an aggregate type.
    AggregateTypeId
}

number! {
    /// What a store writes in place of the name of an event type.
    EventTypeId
}

number! {
    /// The place of an event within its aggregate: 1, 2, 3 … without gaps.
    ///
    /// As the version of an aggregate it is the sequence of its last event.
    Sequence
}

number! {
    /// The place of an event in the log of the whole store. Positions increase in the order in which
    /// events are delivered; numbers may be missing.
    Position
}

number! {
    /// Proves who owns a subscription. Each claim draws a greater one than all before it, in the whole store.
    FencingToken
}

impl Sequence {
    /// Before the first event.
    pub const NONE: Self = Self(0);

    /// The sequence `count` events further on, at most the greatest that there is.
    #[must_use]
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The sequence of the next event.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }
}

impl Position {
    /// Before the first event of the log.
    pub const START: Self = Self(0);
}
