//! What only this database has: files, locks, other processes, the shell.

mod concurrency;
mod crash;
mod damage;
mod filters;
mod fixtures;
mod handlers;
mod migration;
mod open;
mod store;
mod subscriptions;
mod through_the_store;
mod transactions;
mod view;
mod watching;
