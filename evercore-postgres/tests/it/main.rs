//! What only this database has: sessions side by side, roles, several stores, the wire.

mod commits;
mod database;
mod doorbell;
mod durability;
mod failures;
mod filters;
mod fixtures;
mod horizon;
mod open;
mod plans;
mod roles;
mod round_trips;
mod servers;
mod stalls;
mod starts;
mod subscriptions;
mod transactions;
mod versions;
mod view;
mod warnings;
