//! The guide: how to work with this library, chapter by chapter. This module exists in the documentation only.

#[doc = include_str!("../docs/aggregates.md")]
pub mod aggregates {}

#[doc = include_str!("../docs/changing-events.md")]
pub mod changing_events {}
