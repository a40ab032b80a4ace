//! For the tests of applications.
//!
//! # The shapes of events
//!
//! Events are stored for ever, and every later version of an application has to read them. [`assert_shapes`] keeps
//! what they look like in a file that is committed with the code, and has a test fail when a change to an event
//! makes old ones unreadable:
//!
//! ```no_run
//! use evercore::{Aggregate, event, registry};
//!
//! #[derive(Aggregate, Default, serde::Serialize, serde::Deserialize)]
//! #[aggregate(events(OrderPlaced))]
//! struct Order {
//!     lines: u32,
//! }
//!
//! #[event]
//! struct OrderPlaced {
//!     lines: u32,
//! }
//!
//! # impl evercore::Apply<OrderPlaced> for Order {
//! #     fn apply(&mut self, event: &OrderPlaced) { self.lines = event.lines; }
//! # }
//! registry!(pub Domain { Order });
//!
//! // This is a `#[test]`.
//! fn stored_events_stay_readable() {
//!     evercore::testing::assert_shapes::<Domain>("evercore.lock.json");
//! }
//! # stored_events_stay_readable();
//! ```

mod compare;
mod history;
mod shapes;

pub use self::shapes::assert_shapes;
