//! `cargo xtask bench subscriptions`: what subscriptions cost, beside a loop written by hand that reads the same rows.
//!
//! Whatever is compared runs in turns, several times, after a round that does not count; the medians are shown.
//! Read the ratios: machines differ, and so does what else they do.

mod catch_up;
mod hand_loop;
mod idle;
mod lag;
mod memory;
mod options;
mod place;
mod plant;
mod table;
mod task;

pub use self::task::bench;
