//! A store in memory for [`evercore`]: for unit tests and examples. There is nothing to install and nothing to
//! clean up, and each [`MemoryEngine::new`] is a store of its own, so tests can run side by side.
//!
//! It is the reference engine: it keeps every promise of the engine contract (atomic commits, conflicts, unique
//! keys, one order of all events) and passes the suite that the databases pass. Code that was tested on it finds
//! the same behaviour on them. Only its data ends with its last handle, so it is not a place to keep anything.
//!
//! # Testing rules
//!
//! What events do to a state, and what its `validate` function refuses, needs no store and no engine: the state
//! is a plain struct, and [`Aggregate::change`](evercore::Aggregate::change) does what
//! [`Context::apply`](evercore::Context::apply) does to it.
//!
//! ```
//! use evercore::{Aggregate, Apply, event};
//!
//! #[derive(Debug, Default, Clone, Aggregate)]
//! #[aggregate(events(Deposited, Withdrawn), snapshot = off, validate = Account::check)]
//! struct Account {
//!     balance: i64,
//! }
//!
//! #[event]
//! struct Deposited(i64);
//!
//! #[event]
//! struct Withdrawn(i64);
//!
//! impl Apply<Deposited> for Account {
//!     fn apply(&mut self, event: &Deposited) {
//!         self.balance += event.0;
//!     }
//! }
//!
//! impl Apply<Withdrawn> for Account {
//!     fn apply(&mut self, event: &Withdrawn) {
//!         self.balance -= event.0;
//!     }
//! }
//!
//! impl Account {
//!     fn check(&self) -> Result<(), &'static str> {
//!         if self.balance < 0 { Err("the account is overdrawn") } else { Ok(()) }
//!     }
//! }
//!
//! // The body of a `#[test]`.
//! let mut account = Account::default();
//! account.change(|account| account.apply(&Deposited(5)))?;
//! let refused = account.change(|account| account.apply(&Withdrawn(6))).unwrap_err();
//! assert_eq!(refused.to_string(), "the account is overdrawn");
//! assert_eq!(account.balance, 5);
//! # Ok::<(), evercore::ValidationError>(())
//! ```
//!
//! # Testing code that uses a store
//!
//! [`MemoryEngine::reopen`] gives another engine on the same data: another process, or the same one after a
//! restart.
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
//! /// What is tested: it knows the store, not the engine.
//! async fn count(store: &EventStore, page: &str) -> evercore::Result<u64> {
//!     let count = async |ctx: evercore::Context| {
//!         let mut counter = ctx.load_or_create::<Counter>(page).await?;
//!         ctx.apply(&mut counter, Hit {})?;
//!         Ok(counter.hits)
//!     };
//!     store.with_context(count).await
//! }
//!
//! // The body of a `#[tokio::test]`.
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> evercore::Result<()> {
//! let engine = MemoryEngine::new();
//! let store = EventStore::open::<Counter>(engine.clone()).await?;
//! assert_eq!(count(&store, "front page").await?, 1);
//! store.close().await?;
//!
//! let store = EventStore::open::<Counter>(engine.reopen()).await?;
//! assert_eq!(count(&store, "front page").await?, 2);
//! # Ok(())
//! # }
//! ```

mod commit;
mod engine;
mod subscription_table;
mod subscriptions;
mod tables;

pub use self::engine::MemoryEngine;
