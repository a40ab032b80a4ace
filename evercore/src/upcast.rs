//! Older forms of events, as the compiler sees them.
//!
//! The older forms of an event are known as constants, so that names are checked while the user's crate is
//! compiled. Two events that upcast each other would make these constants depend on themselves, and rustc would
//! report that in words of its own. So they are worked out for a limited number of generations, counted down
//! by types: then a chain that goes round is seen by [`check_upcast`](crate::unique::check_upcast).

use crate::{Event, EventType};

/// An event that others may upcast: each one that the macros make.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be upcast, because it is not an event",
    label = "not an event",
    note = "put `#[event(name = \"…\")]` on it, with the name under which it was stored"
)]
pub trait Ancestor: Event {
    /// Its own older forms, when this many generations are left.
    type Line<D: Depth>: Line<Self>;
}

/// Says that `New` is made from this event: what `upcasts(…)` lists.
pub trait AncestorOf<New>: Ancestor {}

/// The older forms of `E`, followed for some generations.
pub trait Line<E> {
    /// Its direct older forms.
    const ANCESTORS: &'static [EventType];
}

/// A number of generations: `()` is zero, `(D,)` is one more than `D`.
pub trait Depth {
    /// The line of an older form, one generation back.
    type Back<E: Ancestor>: Line<E>;
}

impl Depth for () {
    type Back<E: Ancestor> = End;
}

impl<D: Depth> Depth for (D,) {
    type Back<E: Ancestor> = E::Line<D>;
}

/// The line of an event that upcasts nothing.
#[derive(Debug)]
pub struct First;

impl<E> Line<E> for First {
    const ANCESTORS: &'static [EventType] = &[];
}

/// Where the generations end.
#[derive(Debug)]
pub struct End;

impl<E> Line<E> for End {
    const ANCESTORS: &'static [EventType] = &[EventType::END];
}

/// The line of an event that upcasts others, when so many generations are left; the macro says what it is.
#[derive(Debug)]
pub struct Left<D>(D);

type Four<D> = ((((D,),),),);
type Sixteen<D> = Four<Four<Four<Four<D>>>>;

/// How many generations are followed. One costs rustc two of the 128 queries that may depend on each other.
type Generations = Sixteen<Sixteen<()>>;

/// The same as a number, for people.
pub(crate) const GENERATIONS: &str = "32";

/// The direct older forms of an event.
#[must_use]
pub const fn ancestors<E: Ancestor>() -> &'static [EventType] {
    <E::Line<Generations> as Line<E>>::ANCESTORS
}

/// Describes an older form of `New`.
#[must_use]
pub const fn ancestor<D: Depth, Old: AncestorOf<New>, New>() -> EventType {
    EventType::older::<Old>(<D::Back<Old> as Line<Old>>::ANCESTORS)
}

/// Describes an older form of `New` that has a name and no type.
#[must_use]
pub const fn ancestor_named<New: Event>(name: &'static str) -> EventType {
    EventType::named(name, New::ORIGIN)
}

/// A type that is made from its older form.
#[diagnostic::on_unimplemented(
    message = "there is no way from `{Old}` to `{Self}`",
    label = "`From<{Old}>` is not implemented for `{Self}`",
    note = "write `impl From<{Old}> for {Self} {{ fn from(old: {Old}) -> Self {{ … }} }}`",
    note = "or name a function that makes one of the other, and may fail: `upcasts({Old} with path)`"
)]
pub trait UpcastFrom<Old> {
    /// Makes one of the other.
    fn upcast_from(old: Old) -> Self;
}

#[diagnostic::do_not_recommend]
impl<Old, New: From<Old>> UpcastFrom<Old> for New {
    fn upcast_from(old: Old) -> Self {
        Self::from(old)
    }
}
