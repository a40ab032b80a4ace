//! What only this database has: sessions side by side, roles, several stores, the wire.

mod bad_input;
mod commits;
mod database;
mod doorbell;
mod failures;
mod fixtures;
mod horizon;
mod kills;
mod open;
mod plans;
mod poolers;
mod random_writers;
mod roles;
mod round_trips;
mod servers;
mod stalls;
mod timeouts;
mod transactions;
mod view;
mod warnings;
