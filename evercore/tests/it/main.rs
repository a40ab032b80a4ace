//! Behaviour through the public API, on the memory engine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod closures;
mod codecs;
mod conditions;
mod context;
mod derive;
mod descriptions;
mod domain;
mod errors;
mod events;
mod evolution;
mod log;
mod names;
mod observed;
mod snapshots;
mod state_events;
mod store;
mod subscriptions;
mod ui;
mod unit;
mod unknown_types;
mod views;
