//! The SQLite engine of `evercore`: a store in one file, inside the process.
//!
//! ```
//! use evercore::{Aggregate, Apply, EventStore, event, state_event};
//! use evercore_sqlite::SqliteEngine;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Default, Clone, Serialize, Deserialize, Aggregate)]
//! #[aggregate(events(UserCreated, UserLoggedIn))]
//! pub struct User {
//!     pub email: String,
//!     pub logins: u64,
//! }
//!
//! #[state_event(User)]
//! pub struct UserCreated {
//!     pub email: String,
//! }
//!
//! #[event]
//! pub struct UserLoggedIn {}
//!
//! impl Apply<UserLoggedIn> for User {
//!     fn apply(&mut self, _event: &UserLoggedIn) {
//!         self.logins += 1;
//!     }
//! }
//!
//! evercore::registry!(pub Domain { User });
//!
//! #[tokio::main]
//! async fn main() -> evercore::Result<()> {
//!     let engine = SqliteEngine::connect("sqlite::memory:").await?; // or a file: "sqlite://app.db"
//!     let store = EventStore::open::<Domain>(engine).await?;
//!
//!     let ctx = store.begin();
//!     let mut user = ctx.create_with_key::<User>("john@example.com").await?;
//!     ctx.apply(&mut user, UserCreated { email: "john@example.com".into() })?;
//!     ctx.apply(&mut user, UserLoggedIn {})?;
//!     ctx.commit().await?;
//!
//!     let user = store.load_by_key::<User>("john@example.com").await?;
//!     assert_eq!(user.logins, 1);
//!     store.close().await?;
//!     Ok(())
//! }
//! ```
//!
//! # What a crash can lose
//!
//! The file uses SQLite's write-ahead log. A commit is there as a whole or not at all, whatever happens, and
//! when the process dies nothing is lost that was answered. When the *machine* loses power or its kernel
//! crashes, [`Synchronous`] decides:
//!
//! | | process killed | power lost | commits |
//! | --- | --- | --- | --- |
//! | [`Synchronous::Normal`] (default) | nothing is lost | the last commits may be missing; the file is whole | do not wait for the disk |
//! | [`Synchronous::Full`] | nothing is lost | nothing is lost | each waits for the disk |
//!
//! Commits that were lost give their positions and ids back: they are used again. A reader outside of the
//! database that remembers a position from before should know that, or `Full` be chosen.
//!
//! When the operating system fails while a commit is being finished, for example because the disk is gone,
//! the answer is `OutcomeUnknown`: the end of the transaction may stand in the log, and be found after a
//! crash. A full disk is not such a case; it is `StorageFull`, and nothing was written.
//!
//! # Several connections and processes
//!
//! An engine writes on one thread and reads on several, so that reading never waits for writing. Any number
//! of engines, in one process or in many on the same machine, may open one file: SQLite lets them write one
//! after the other, each waits as long as the [busy timeout](SqliteEngineBuilder::busy_timeout) says. They
//! may also start at once on a file that does not exist yet. Not on a network file system: its locks cannot
//! be trusted.
//!
//! Positions are in the order of commits, and every event that can be read is settled: no event with a lower
//! position comes later. Times of recording never decrease with the position: when the clock of
//! the machine is set back, the last time is used until the clock has caught up.
//!
//! # Subscriptions
//!
//! A handler can write to the application's own tables in the transaction that moves its cursor, and so exactly once:
//!
//! ```
//! use evercore::{Aggregate, EventStore, state_event};
//! use evercore_sqlite::SqliteEngine;
//! # use std::{error::Error, time::Duration};
//!
//! #[derive(Debug, Default, Aggregate)]
//! #[aggregate(events(AccountOpened), snapshot = off)]
//! struct Account {
//!     owner: String,
//! }
//!
//! #[state_event(Account)]
//! struct AccountOpened {
//!     owner: String,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn Error>> {
//! # let engine = SqliteEngine::connect("sqlite::memory:").await?;
//! sqlx::query("CREATE TABLE owners (name TEXT)").execute(engine.pool()).await?;
//! let store = EventStore::open::<Account>(engine).await?;
//! # store.with_context(async |ctx| {
//! #     let mut account = ctx.create::<Account>().await?;
//! #     ctx.apply(&mut account, AccountOpened { owner: "Ada".into() })
//! # }).await?;
//! let run = store
//!     .subscription("owners")
//!     .aggregate::<Account>()
//!     .decode::<Account>()
//!     .run_transactional::<SqliteEngine, _, _>(async |batch, mut transaction| {
//!         for decoded in batch {
//!             let AccountEvent::AccountOpened(opened) = decoded.event;
//!             let insert = sqlx::query("INSERT INTO owners (name) VALUES (?)").bind(opened.owner);
//!             insert.execute(&mut *transaction).await?;
//!         }
//!         Ok(transaction)
//!     });
//! # tokio::select! {
//! #     ended = run => ended?,
//! #     caught_up = store.wait_until_caught_up("owners", Duration::from_secs(10)) => caught_up?,
//! # }
//! # let engine = store.engine::<SqliteEngine>().ok_or("it is SQLite")?;
//! # let names: Vec<String> = sqlx::query_scalar("SELECT name FROM owners").fetch_all(engine.pool()).await?;
//! # assert_eq!(names, ["Ada"]);
//! # Ok(())
//! # }
//! ```
//!
//! A commit wakes those who watch its engine at once. For commits of other engines and processes, and of the
//! application's own connections, an engine looks every 10 milliseconds, as long as anybody watches: that reads nothing
//! of the file, and costs 0.3 % of a processor. While nobody watches, nothing is done, and nothing is ever written.
//! For a store in memory it does not look: there are no others.
//!
//! Leases end by the clock of the machine, which all who have the file open share. It is read when the write lock
//! is there, so that no wait for the lock shortens a lease. When the clock is set forward, leases end early; then
//! the fencing token keeps the owner before from writing, as always.
//!
//! Claims, renewals and checkpoints write, and so wait for an open transaction of the application, as commits do. Nobody
//! takes a subscription over, even when its lease has expired, while its owner has a transaction open that moves
//! the cursor ([`checkpoint_in`](evercore::engine::TransactionalEngine::checkpoint_in)).
//!
//! # The application's own tables
//!
//! The store's tables begin with `evercore_`, so they can live beside those of the application.
//! [`commit_in`] writes events in the application's transaction, which [`SqliteEngine::pool`] and
//! [`begin`](evercore::engine::TransactionalEngine::begin) provide. [`SqliteEngine::from_pool`] opens the
//! store in the database of a pool that is there already.
//!
//! In the `sqlite3` shell, `SELECT * FROM event_log` shows the events with names and readable times.
//!
//! # In memory
//!
//! `sqlite::memory:` makes a store that lives as long as its engine and that no other engine sees. It holds up to
//! 1 GiB, and has one
//! connection for everything: while a transaction of the application is open, all reading and writing of the
//! store waits for its end, so do not use the store inside of it.
//!
//! # Backups
//!
//! Copying the file of a running application copies half of it: the newest commits stand in the `-wal` file
//! beside it. Use `VACUUM INTO 'backup.db'` on [`SqliteEngine::pool`], the shell's `.backup`, or a tool that
//! replicates the write-ahead log; or copy the file after [`close`](evercore::EventStore::close), which leaves
//! one file that holds everything.

mod checkpoint;
mod commit;
mod cursor;
mod driver;
mod engine;
mod error;
mod migrate;
mod options;
mod rare;
mod read;
mod row;
mod savepoint;
mod source;
mod statements;
mod subscription_table;
mod subscriptions;
mod threads;
mod types;
mod watcher;

pub use self::{
    commit::commit_in,
    engine::SqliteEngine,
    options::{SqliteEngineBuilder, Synchronous},
};

/// The program of the README, so that it compiles as long as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
