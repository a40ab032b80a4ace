//! The in-memory storage engine of [`evercore`]: the reference engine, for unit tests and examples.
//!
//! It keeps every promise of the engine contract: atomic commits, conflicts, unique keys, one order of all
//! events. Only its data ends with its last handle.
//!
//! ```
//! use evercore::{Aggregate, Apply, EventStore, event};
//! use evercore_memory::MemoryEngine;
//!
//! #[derive(Debug, Default, Aggregate)]
//! #[aggregate(events(Hit), snapshot = off)]
//! struct Counter {
//!     hits: u64,
//! }
//!
//! #[event]
//! struct Hit {}
//!
//! impl Apply<Hit> for Counter {
//!     fn apply(&mut self, _event: &Hit) {
//!         self.hits += 1;
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> evercore::Result<()> {
//! let engine = MemoryEngine::new();
//! let store = EventStore::open::<Counter>(engine.clone()).await?;
//! store
//!     .with_context(async |ctx| {
//!         let mut counter = ctx.load_or_create::<Counter>("front page").await?;
//!         ctx.apply(&mut counter, Hit {})
//!     })
//!     .await?;
//! store.close().await?;
//!
//! // As after a restart: another store on the same data.
//! let store = EventStore::open::<Counter>(engine.reopen()).await?;
//! assert_eq!(store.load_by_key::<Counter>("front page").await?.hits, 1);
//! # Ok(())
//! # }
//! ```

mod commit;
mod engine;
mod tables;

pub use self::engine::MemoryEngine;
