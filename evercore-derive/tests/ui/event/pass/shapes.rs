//! Events of every kind, with derives and serde attributes of the user's own.

#![deny(warnings, missing_docs, unreachable_pub, missing_debug_implementations, clippy::all, clippy::pedantic)]

use evercore::{Event, event};

/// Named fields.
#[event(name = "named", alias = "old", alias = "older")]
#[derive(PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Named {
    /// A field.
    #[serde(default)]
    pub first_field: u8,
}

/// Unnamed fields.
#[event]
pub struct Tuple(pub u8, pub String);

/// No fields.
#[event]
#[derive(Clone, Copy)]
pub struct Unit;

/// One derive of serde is the user's, the other is not.
#[event]
#[derive(serde::Serialize, Default)]
pub struct Half {
    /// A field.
    pub field: u8,
}

/// All derives are the user's.
#[event]
#[derive(Debug)]
#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(crate = "serde")]
pub struct Own {
    /// A field.
    pub field: u8,
}

/// The user writes the implementations.
#[event(derive = none)]
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Secret {
    password: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self { password: self.password.clone() }
    }
}

/// A name that is a keyword.
#[allow(non_camel_case_types)]
#[event]
pub struct r#type;

macro_rules! events {
    ($($name:ident: $label:expr;)*) => { $(
        /// Out of a macro.
        #[event(name = $label)]
        pub struct $name;
    )* };
}

events! {
    First: "first";
    Second: "second";
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!((Named::NAME, Named::ALIASES), ("named", &["old", "older"][..]));
    assert_eq!((Tuple::NAME, Tuple::ALIASES), ("Tuple", &[][..]));
    assert_eq!((r#type::NAME, First::NAME, Second::NAME), ("type", "first", "second"));
    assert_ne!(First::ORIGIN, Second::ORIGIN);

    let json = serde_json::to_string(&Named { first_field: 7 })?;
    assert_eq!(json, r#"{"firstField":7}"#);
    assert_eq!(serde_json::from_str::<Named>("{}")?, Named { first_field: 0 });
    assert_eq!(serde_json::from_str::<Half>(r#"{"field":7}"#)?.field, 7);
    assert_eq!(format!("{:?}", Secret { password: "tiger".into() }), "Secret");
    Ok(())
}
