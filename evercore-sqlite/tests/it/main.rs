//! What only this database has: files, locks, other processes, the shell.

mod concurrency;
mod crash;
mod damage;
mod fixtures;
mod open;
mod store;
mod through_the_store;
mod transactions;
mod view;
