//! The PostgreSQL engine of `evercore`: one store for many processes and machines.
//!
//! ```no_run
//! use evercore::{Aggregate, Apply, EventStore, event, state_event};
//! use evercore_postgres::PostgresEngine;
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
//!     let engine = PostgresEngine::connect("postgres://app:secret@localhost/app").await?;
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
//! PostgreSQL 14.1 or later, no extension, a database in UTF-8.
//!
//! # Round trips
//!
//! A commit is one call of a function, whatever is in it. A load is one statement, for any number of
//! aggregates. A page of the log is one where no position is missing.
//!
//! # The order of the log
//!
//! Positions are drawn before commits, so one that is lower can become visible later, and whoever remembers the
//! last position that was seen loses events. Reading here never returns an event before all with lower
//! positions are there, or will never be:
//!
//! * As long as positions follow on each other, nothing is missing, and nothing is waited for.
//! * Where one is missing, readers wait for the transactions that have begun to append, which hold a lock on
//!   the table of events. What is missing when those have ended was rolled back.
//!
//! Writers pay nothing for this, and wait for nobody but those who change the same aggregates. Transactions that
//! do not append hold up no reader, however long they are open; one that has appended does until it ends.
//! When that takes longer than a second there is a warning (of `tracing`) that names the
//! session.
//!
//! This holds when rows enter `events` through [`commit`](evercore::Context::commit) and [`commit_in`] alone. When the
//! sequence of positions is behind the log, as after a switch to a logical replica, new connections are refused with an
//! error that names the `setval`.
//!
//! # When events are lost
//!
//! A failover to a standby that lags behind, a restore, or a crash with `synchronous_commit = off` can take back events
//! that were read already, and their positions are drawn again. So an engine remembers the furthest event that it has
//! read, and each statement that reads the log finds out whether it is still there, at the price of one look-up and
//! no round trip. When it is gone or another one, reading fails with [`Error::LogRewound`](evercore::Error::LogRewound),
//! which names both, until the store is opened anew. This finds a lost tail of the log. It does not find
//! an event that was lost from the middle, which can happen to one that was committed after others with higher positions.
//!
//! # Copies of the log
//!
//! A standby, or a database that has subscribed to the tables (logical replication), does not know who is appending. So
//! all who read the log where it is written write down how far they have found it settled, in the table `horizon`, soon
//! after they have read, at most every 10 ms and only when that has moved; nobody waits for it, and a role that may not
//! write there leaves it to others. Readers of a copy go as far as the row says that came with the copy,
//! and lose no event either.
//!
//! A copy is late, by its replication and by the time until somebody has read where the log is written:
//!
//! * [`read_log`](evercore::engine::StorageEngine::read_log) returns what the horizon covers, with one statement for a page.
//!   Where that ends and the copy has more, it waits for the horizon to move.
//! * [`head`](evercore::engine::StorageEngine::head) and [`locate`](evercore::engine::StorageEngine::locate) cover what the
//!   copy had when they were called. A commit that returned before may not have come yet: that promise of the engine holds
//!   where the log is written alone.
//! * When the horizon does not move within the [statement timeout](PostgresEngineBuilder::statement_timeout), because
//!   nobody reads where the log is written or a transaction that has appended stays open there, they fail with
//!   [`NoHorizon`](evercore::engine::EngineErrorKind::NoHorizon), which is temporary.
//!
//! With [`primary_url`](PostgresEngineBuilder::primary_url) an engine on a copy needs nobody else: at the end of what it
//! can read it has the log settled where it is written, and waits until that has come. Then every commit that
//! returned before is covered here too, at the price of two statements there, which must be reached.
//!
//! A subscription has to bring all tables but `migrations`, `horizon` among them: only within one subscription do
//! changes come in the order of their commits (also with `streaming = parallel`). Until the first copy of the tables
//! is done, and when the horizon comes another way, there is none. Where the log is written (with
//! `wal_level = logical`):
//!
//! ```sql
#![doc = include_str!("../sql/publication.sql")]
//! ```
//!
//! And where it is read, after the text of [`PostgresEngine::migrations_sql`] was applied:
//!
//! ```sql
#![doc = include_str!("../sql/subscription.sql")]
//! ```
//!
//! As long as it is subscribed, a store refuses to be written to. To go on there, end the subscription, set the sequence
//! as the error says that opening the store fails with, and open all engines anew.
//!
//! # When a commit fails
//!
//! | what happened | error | written |
//! | --- | --- | --- |
//! | the server answered with a refusal | by what it said | nothing |
//! | a deadlock, a failed serialization, or a lock that was not to be had in time | [`Busy`](evercore::engine::EngineErrorKind::Busy) | nothing |
//! | no connection, or none that was free | [`ConnectionLost`](evercore::engine::EngineErrorKind::ConnectionLost), [`Timeout`](evercore::engine::EngineErrorKind::Timeout) | nothing |
//! | the connection broke, or the answer took too long | `OutcomeUnknown` | everything or nothing |
//!
//! With an idempotency key it takes one more commit to find out what became of one whose outcome is unknown.
//!
//! Each conflict is an `ERROR` in the server's log, because it is by an error that the server undoes what was
//! done.
//!
//! # Connections
//!
//! The engine has connections of its own for reading and committing
//! ([`pool_size`](PostgresEngineBuilder::pool_size)). [`PostgresEngine::pool`] is a pool for the application's own tables and for
//! [`commit_in`]; [`PostgresEngine::from_pool`] takes one that is there already.
//!
//! One that was idle for five seconds is asked whether it still lives before it is used. When the server was started again
//! in less time than that, the first commit is of unknown outcome, although nothing was written: there is no way to tell for certain.
//!
//! ## Poolers
//!
//! Connections keep no state in their sessions, so that a pooler in transaction mode may stand in between, which puts
//! another session behind a connection for each transaction:
//!
//! | pooler | how to open the store | round trips of an operation |
//! | --- | --- | --- |
//! | none, or one in session mode | as it is | 1 |
//! | one that knows prepared statements: `PgBouncer` 1.21 or later with `max_prepared_statements` above zero | as it is | 1 |
//! | any other: `PgBouncer` before 1.21, or with `max_prepared_statements` of zero | [`without_prepared_statements`](PostgresEngineBuilder::without_prepared_statements) | 4 |
//!
//! The four are `BEGIN`, preparing under no name, running, and `COMMIT`. What is promised is the same: each step of a reader is a
//! transaction of its own, which is `READ COMMITTED`, and its one statement sees what was committed before that statement. Neither way
//! needs a pooler to be told to ignore anything.
//!
//! A pooler may go to another server behind a connection that stays, or to the same one after it was started again. That events were lost is
//! found out all the same ([above](#when-events-are-lost)). But also when none was, who is appending goes by other numbers there, and
//! what was looked at when the connection was made is not known of that server. So where the log is written all that is read of it comes with the
//! moment when the server was started; when that changes, reading fails once with
//! [`ConnectionLost`](evercore::engine::EngineErrorKind::ConnectionLost), and begins anew with a new connection. A pooler that
//! spreads one client over several servers is therefore of no use for reading the log.
//!
//! ## Answers that do not come
//!
//! Nobody waits longer than [`statement_timeout`](PostgresEngineBuilder::statement_timeout) for an answer, nor for one in a transaction of the
//! application while [`commit_in`] or [`finish`](evercore::engine::TransactionalEngine::finish) is under way. The connection is closed then.
//! What the server does meanwhile:
//!
//! * A commit that waits for a lock is ended by the server itself, after seven eighths of that time; then it is
//!   certain that nothing was written ([`Busy`](evercore::engine::EngineErrorKind::Busy)). It is the `lock_timeout` of this one statement; where the
//!   role, the database or the transaction has one that is not zero, that one counts.
//! * Without prepared statements the server ends everything that takes so long, likewise for certain.
//! * Otherwise it goes on until it is done: a commit may still be made (`OutcomeUnknown`), and what was read is thrown away when it cannot be
//!   sent, or before, with `client_connection_check_interval` on the server. The engine does not cancel it: behind a pooler nobody
//!   can say which session it runs on, and another one's statement could be hit.
//!
//! Connections are encrypted with the feature `tls-rustls`, which is off by default; `sslmode` in the URL says
//! whether they must be. An application that prefers what the system has turns on `tls-native-tls` of sqlx instead.
//!
//! # Waking readers
//!
//! [`watch`](evercore::engine::StorageEngine::watch) hears of commits at once when they are of the same engine, and a
//! little later when they are of another one on the same store, in whatever process. Engines tell each other by
//! notifications (`NOTIFY`), which cost a commit nothing: they are sent after it, on a connection of their own, and many
//! commits share one. The connection that listens for them is made when somebody watches for the first time, and
//! made again when it breaks. Both are called like the others in `pg_stat_activity`, with `doorbell` behind it.
//!
//! A pooler in transaction mode passes no notifications on, and would let a session listen that others use next. Behind one, say where the server itself is
//! ([`listen_url`](PostgresEngineBuilder::listen_url)), or do [without](PostgresEngineBuilder::without_listening).
//! Notifications only wake: one that is lost makes readers late, and nothing else.
//!
//! # Subscriptions
//!
//! Who owns a subscription is decided by the database, with its clock, in one statement. Claims, checkpoints and all
//! else are right at any isolation level that a role may have by default, and behind a pooler.
//!
//! A [transaction](evercore::engine::TransactionalEngine::begin) that has moved a cursor holds it until it ends:
//! other checkpoints, claims and changes of this subscription wait. Renewing leases does not. Of two
//! transactions that move it from the same position the second is told where it is by then; under `REPEATABLE READ` or
//! `SERIALIZABLE`, which [`begin`](evercore::engine::TransactionalEngine::begin) does not use, that is
//! [`Busy`](evercore::engine::EngineErrorKind::Busy).
//!
//! In texts of failures the character U+0000, which PostgreSQL does not store, becomes U+FFFD.
//!
//! # The schema
//!
//! All tables live in a schema of their own, `evercore` unless said otherwise, and every statement names it: the
//! `search_path` plays no role. Opening the store creates or migrates it, safe for any number of processes at
//! once. Several stores may live in one database, under different schemas.
//!
//! A schema that somebody has altered is refused when the store is opened, as far as statements depend on it, with what
//! was altered: a column that is gone or has another type, a unique index that is missing.
//!
//! In `psql`, `SELECT * FROM evercore.event_log` shows the events with names and payloads that can be read.
//!
//! Where applications may not create tables, somebody else applies the text of
//! [`PostgresEngine::migrations_sql`], or calls [`PostgresEngine::migrate`] as a role that may, and applications open
//! the store [without migration](PostgresEngineBuilder::without_migration). This is what their role needs:
//!
//! ```sql
#![doc = include_str!("../sql/grants.sql")]
//! ```
//!
//! A role that only reads needs `USAGE` on the schema and `SELECT` on all that is in it.

mod answer;
mod calls;
mod commit;
mod connections;
mod copy;
mod doorbell;
mod engine;
mod error;
mod horizon;
mod inspection;
mod mark;
mod migrate;
mod options;
mod publishing;
mod read;
mod row;
mod schema;
mod statements;
mod subscription_rows;
mod subscription_statements;
mod subscriptions;
mod time;
mod types;

pub use self::{commit::commit_in, engine::PostgresEngine, options::PostgresEngineBuilder};
