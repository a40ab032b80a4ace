//! The aggregates that the tests use.

use std::fmt;

use chrono::{DateTime, Utc};
use evercore::{Aggregate, Apply, EventInfo, EventStore, event, state_event};
use evercore_memory::MemoryEngine;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(events(UserCreated, UserUpdated, UserLoggedIn), snapshot_every = 5)]
pub(crate) struct User {
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) is_active: bool,
    pub(crate) logins: u64,
}

#[state_event(User)]
pub(crate) struct UserCreated {
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) is_active: bool,
}

#[state_event(User)]
#[derive(Default)]
pub(crate) struct UserUpdated {
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) is_active: Option<bool>,
}

#[event]
pub(crate) struct UserLoggedIn {}

impl Apply<UserLoggedIn> for User {
    fn apply(&mut self, _event: &UserLoggedIn) {
        self.logins += 1;
    }
}

/// An account that refuses to be overdrawn, keeps private data, and takes no snapshots.
#[derive(Debug, Default, Clone, PartialEq, Aggregate)]
#[aggregate(events(Deposited, Withdrawn), snapshot = off, validate = Account::check)]
pub(crate) struct Account {
    balance: i64,
}

#[event]
pub(crate) struct Deposited(pub(crate) i64);

#[event]
pub(crate) struct Withdrawn(pub(crate) i64);

impl Apply<Deposited> for Account {
    fn apply(&mut self, event: &Deposited) {
        self.balance += event.0;
    }
}

impl Apply<Withdrawn> for Account {
    fn apply(&mut self, event: &Withdrawn) {
        self.balance -= event.0;
    }
}

impl Account {
    pub(crate) fn balance(&self) -> i64 {
        self.balance
    }

    fn check(&self) -> Result<(), Overdrawn> {
        if self.balance < 0 { Err(Overdrawn(-self.balance)) } else { Ok(()) }
    }
}

#[derive(Debug)]
pub(crate) struct Overdrawn(pub(crate) i64);

impl fmt::Display for Overdrawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "overdrawn by {}", self.0)
    }
}

impl std::error::Error for Overdrawn {}

/// A diary that remembers what came with each event. It is not `Clone`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Noted))]
pub(crate) struct Diary {
    pub(crate) entries: Vec<Entry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) text: String,
    pub(crate) sequence: i64,
    pub(crate) time: DateTime<Utc>,
    pub(crate) reference: Option<String>,
    pub(crate) correlation: Option<String>,
}

#[event]
pub(crate) struct Noted(pub(crate) String);

impl Apply<Noted> for Diary {
    fn apply(&mut self, _event: &Noted) {
        unreachable!("`apply_with` is what is called")
    }

    fn apply_with(&mut self, event: &Noted, info: &EventInfo) {
        self.entries.push(Entry {
            text: event.0.clone(),
            sequence: info.sequence().get(),
            time: info.time(),
            reference: info.reference().map(str::to_owned),
            correlation: info.metadata().correlation_id().map(str::to_owned),
        });
    }
}

evercore::registry!(
    /// All aggregates of the tests.
    pub(crate) Domain { User, Account, Diary }
);

pub(crate) async fn store() -> EventStore {
    EventStore::open::<Domain>(MemoryEngine::new()).await.expect("the memory engine opens")
}

pub(crate) fn created(name: &str) -> UserCreated {
    UserCreated { username: name.to_owned(), email: format!("{name}@example.com"), is_active: true }
}

/// Stores a user with this key, its creation and so many logins.
pub(crate) async fn stored_user(store: &EventStore, key: &str, logins: u32) -> evercore::AggregateId<User> {
    let store_it = async |ctx: evercore::Context| {
        let mut user = ctx.create_with_key::<User>(key).await?;
        ctx.apply(&mut user, created(key))?;
        for _ in 0..logins {
            ctx.apply(&mut user, UserLoggedIn {})?;
        }
        Ok(user.id())
    };
    store.with_context(store_it).await.expect("a user is stored")
}

/// Stores a login of the user, as somebody else would meanwhile.
pub(crate) async fn log_in(store: &EventStore, id: evercore::AggregateId<User>) {
    let log_in = async |ctx: evercore::Context| {
        let mut user = ctx.load(id).await?;
        ctx.apply(&mut user, UserLoggedIn {})
    };
    store.with_context(log_in).await.expect("a login is stored");
}
