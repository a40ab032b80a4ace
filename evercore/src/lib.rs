//! An event store and event-sourcing library: typed aggregates that are rebuilt from their events, one atomic unit
//! of work over several of them, snapshots, natural keys, and a log of all events in one order.
//!
//! Plain structs are annotated, and a backend crate is picked: `evercore-memory` for tests, `evercore-sqlite`
//! for everything on one machine, `evercore-postgres` for many. The API and its guarantees are the same on all of
//! them.
//!
//! ```
//! use evercore::{Aggregate, Apply, EventStore, RetryPolicy, event, state_event};
//! use evercore_memory::MemoryEngine;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Default, Clone, Serialize, Deserialize, Aggregate)]
//! #[aggregate(events(UserCreated, UserUpdated, UserLoggedIn))]
//! pub struct User {
//!     pub username: String,
//!     pub email: String,
//!     pub logins: u64,
//! }
//!
//! #[state_event(User)] // copies its fields into the state, by name
//! pub struct UserCreated {
//!     pub username: String,
//!     pub email: String,
//! }
//!
//! #[state_event(User)] // a field that is None leaves the state's field alone
//! pub struct UserUpdated {
//!     pub username: Option<String>,
//!     pub email: Option<String>,
//! }
//!
//! #[event] // any other event: the user says what it does
//! pub struct UserLoggedIn {}
//!
//! impl Apply<UserLoggedIn> for User {
//!     fn apply(&mut self, _event: &UserLoggedIn) {
//!         self.logins += 1;
//!     }
//! }
//!
//! evercore::registry!(
//!     /// Every aggregate of the application.
//!     pub Domain { User }
//! );
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> evercore::Result<()> {
//! let store = EventStore::open::<Domain>(MemoryEngine::new()).await?;
//!
//! // A unit of work: nothing is written before `commit`, and then everything at once.
//! let ctx = store.begin();
//! let mut user = ctx.create_with_key::<User>("john@example.com").await?;
//! ctx.apply(&mut user, UserCreated { username: "john".into(), email: "john@example.com".into() })?;
//! ctx.commit().await?;
//!
//! // The same as a closure, run again when somebody else was faster.
//! let (logins, _receipt) = store
//!     .unit()
//!     .retry(RetryPolicy::default())
//!     .run(async |ctx| {
//!         let mut user = ctx.load_by_key::<User>("john@example.com").await?;
//!         ctx.apply(&mut user, UserLoggedIn {})?;
//!         Ok(user.logins)
//!     })
//!     .await?;
//! assert_eq!(logins, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Aggregates and events
//!
//! An aggregate is a struct with [`#[derive(Aggregate)]`](macro@Aggregate): the state that its events lead to.
//! [`#[state_event]`](state_event) is for events whose fields go into the state; what any other
//! [`#[event]`](event) does is said by [`Apply`]. What does not fit together does not compile: an event that no
//! aggregate lists, a field that the state does not have, two events of one name.
//!
//! What is stored stays as it was written, and events change over the years: an old shape is a type that the new
//! one [upcasts](macro@event#upcasting), and what is of no interest any more is
//! [ignored](macro@Aggregate#events-that-are-of-no-interest-any-more).
//!
//! The guide has a chapter on each: [modelling aggregates and events](guide::aggregates), and
//! [changing events over the years](guide::changing_events).
//!
//! # The unit of work
//!
//! [`EventStore::begin`] gives a [`Context`]: it creates and loads aggregates as [`StateAggregate`]s, applies
//! events to them, and writes everything at once. When somebody else changed one of them meanwhile, nothing is
//! written and the error is [`Error::Conflict`]. [`EventStore::with_context`] commits after a closure, and
//! [`EventStore::unit`] runs one again after a conflict, or makes it happen once by an idempotency key. Closures
//! with an error type of the application's own go to [`EventStore::try_with_context`] and [`Unit::try_run`].
//!
//! # The log
//!
//! [`EventStore::log`] reads the events of the whole store in their order, filtered by aggregate, event type or
//! natural key; [`RecordedEvent::decode`] makes one enum of them, for a single aggregate or for all of a
//! [`registry!`].
//!
//! # Subscriptions
//!
//! [`EventStore::subscription`] delivers the events that a filter lets through to a handler, in the order of the log, none
//! of them ever skipped. Its cursor is kept in the store, one process at a time owns it, and when that one is gone another
//! takes over. Delivery is at least once; exactly once where the handler writes to the same database
//! ([`run_transactional`](Subscription::run_transactional)). An [`EventStore::ephemeral_subscription`] lives in the process alone:
//! for caches and live views. Both are also streams.
//!
//! [`EventStore::subscriptions`] says how they are doing; they can be paused, reset and deleted by name, and
//! [`EventStore::wait_for`] waits until one has handled what was just written.
//!
//! # Errors
//!
//! [`Error`] has a variant for each outcome that a caller may act on, with the values needed to act. What is
//! stored and not understood is an error that names aggregate, sequence and type; nothing is skipped.
//!
//! # Runtime
//!
//! The library and its engines run on tokio with its timers enabled: `#[tokio::main]` does that, and so does
//! `enable_all` of the runtime's builder. Without timers a retry panics, and so does an engine that waits.
//!
//! # Features
//!
//! | Feature | Effect | Default |
//! | --- | --- | --- |
//! | `derive` | the macros | yes |
//! | `msgpack` | the codec of `#[event(codec = msgpack)]` and [`Codec::MESSAGE_PACK`] | no |
//! | `conformance` | the suite that proves an engine | no |
//! | `testing` | what the tests of an application need: events that stay readable | no |
//!
//! # Engines
//!
//! Engine authors start at [`engine::StorageEngine`], and prove their work with the module `conformance`.

extern crate self as evercore;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
#[cfg(doc)]
#[path = "documentation.rs"]
pub mod _documentation;
mod aggregate;
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod context;
mod description;
pub mod engine;
mod error;
mod event;
mod field;
mod filter;
#[cfg(any(doc, doctest))]
pub mod guide;
mod hash;
mod id;
mod id_blocks;
mod loading;
mod log;
mod metadata;
mod natural_key;
mod once;
mod options;
mod payload;
mod raw;
mod receipt;
mod registry;
mod retry;
mod snapshot;
mod state_aggregate;
mod store;
mod subscription;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod time;
mod type_cache;
mod unique;
mod unit;
mod unknown_types;
mod upcast;
mod waiting;

pub use self::{
    aggregate::{Aggregate, AggregateType, Apply, EventOf, EventType, ValidationError},
    codec::Codec,
    context::{Context, ReadContext, ReadOnly, ReadWrite},
    description::{
        AggregateDescription, Description, EarlierShape, EventDescription, FieldDescription, Shape,
    },
    error::{AggregateRef, Error, Result},
    event::{Event, EventInfo, RecordedEvent},
    filter::LogFilter,
    id::{AggregateId, AggregateTypeId, EventTypeId, Position, Sequence, Untyped},
    log::{Log, LogPage},
    metadata::Metadata,
    natural_key::NaturalKey,
    once::OnceUnit,
    options::EventOptions,
    payload::{DecodeError, EncodeError, Payload, UpcastError},
    raw::{History, RawEvent, RecordedSnapshot},
    receipt::{Committed, Receipt, WrittenAggregate},
    registry::{RegisteredTypes, Registry},
    retry::RetryPolicy,
    snapshot::{Fingerprint, SnapshotAggregate, SnapshotState, Snapshots},
    state_aggregate::{Replay, StateAggregate},
    store::EventStore,
    subscription::{
        Acknowledge, Batch, BatchStream, Decoded, Decoder, EphemeralSubscription, FailedDelivery, Handler,
        HandlerError, OnFailure, Raw, RetriedFailures, StartFrom, Subscription, SubscriptionState,
        SubscriptionStatus, Typed,
    },
    text::InvalidText,
    unit::Unit,
    unknown_types::UnknownTypes,
};
#[cfg(feature = "derive")]
pub use evercore_derive::{Aggregate, event, registry, state_event};
