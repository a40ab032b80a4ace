//! Behaviour through the public API, on the memory engine.

mod closures;
mod conditions;
mod context;
mod domain;
mod errors;
mod events;
mod log;
mod names;
mod observed;
mod snapshots;
mod store;
mod unit;
