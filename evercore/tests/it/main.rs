//! Behaviour through the public API.

mod derive;
