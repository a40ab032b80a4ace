//! Structs of every kind, in a crate that allows nothing.

#![deny(warnings, missing_docs, unreachable_pub, missing_debug_implementations, clippy::all, clippy::pedantic)]
#![allow(non_camel_case_types)]

use evercore::{Aggregate, Apply, EventOf, Snapshots, event};
use serde::{Deserialize, Serialize};

/// Happens to everything.
#[event]
pub struct Touched {
    /// How often.
    pub times: u32,
}

/// An aggregate with named fields.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Touched), snapshot_every = 10, snapshot_version = 2, validate = Named::check)]
#[aggregate(name = "named", alias = "old", alias = "older")]
pub struct Named {
    /// A count.
    pub count: u32,
}

impl Named {
    fn check(&self) -> Result<(), String> {
        if self.count < 100 { Ok(()) } else { Err(format!("{} is too many", self.count)) }
    }
}

impl Apply<Touched> for Named {
    fn apply(&mut self, event: &Touched) {
        self.count += event.times;
    }
}

/// An aggregate with unnamed fields.
#[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Touched,),)]
pub struct Tuple(pub u32);

impl Apply<Touched> for Tuple {
    fn apply(&mut self, event: &Touched) {
        self.0 += event.times;
    }
}

/// An aggregate without fields, and without serde.
#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Touched), snapshot = off)]
pub struct Unit;

impl Apply<Touched> for Unit {
    fn apply(&mut self, _event: &Touched) {}
}

/// A name that is a keyword.
#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Touched), snapshot = off)]
pub struct r#struct;

impl Apply<Touched> for r#struct {
    fn apply(&mut self, _event: &Touched) {}
}

macro_rules! aggregates {
    ($($name:ident: $label:expr, $field:ident: $ty:ty, $event:ident;)*) => { $(
        /// Out of a macro.
        #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
        #[aggregate(events($event), name = $label, validate = accept)]
        pub struct $name {
            /// A field.
            pub $field: $ty,
        }

        impl Apply<$event> for $name {
            fn apply(&mut self, _event: &$event) {}
        }
    )* };
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::unnecessary_wraps)]
fn accept<T>(_state: &T) -> Result<(), std::fmt::Error> {
    Ok(())
}

aggregates! {
    First: "first", one: u8, Touched;
    Second: "second", two: Option<String>, Touched;
}

fn main() {
    assert_eq!((Named::NAME, Named::ALIASES), ("named", &["old", "older"][..]));
    assert_eq!((Tuple::NAME, Unit::NAME, First::NAME), ("Tuple", "Unit", "first"));
    assert_eq!(<r#struct as Aggregate>::NAME, "struct");
    assert_eq!(<Touched as EventOf<Second>>::INDEX, 0);
    assert_eq!(format!("{:?}", Named::SNAPSHOTS), "every 10 events");
    assert_eq!(
        format!("{:?}", Tuple::SNAPSHOTS),
        format!("every {} events", Snapshots::<Tuple>::DEFAULT_EVERY)
    );
    assert_eq!(format!("{:?}", Unit::SNAPSHOTS), "off");
    assert_eq!(format!("{:?}", NamedEvent::from(Touched { times: 1 })), "Touched(Touched { times: 1 })");

    let mut named = Named::default();
    assert!(named.change(|named| named.count = 99).is_ok());
    let refusal = named.change(|named| named.count = 100).map_err(|refusal| refusal.to_string());
    assert_eq!(refusal, Err("100 is too many".to_owned()));
    assert_eq!(named.count, 99);
}
