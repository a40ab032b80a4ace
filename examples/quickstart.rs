//! Stores users and rebuilds them from their events.
//!
//! ```text
//! cargo run --example quickstart                                           # in the SQLite file quickstart.db
//! cargo run --example quickstart -- my.db                                  # in another file
//! cargo run --example quickstart -- postgres://app:secret@localhost/app    # in a PostgreSQL database
//! ```
//!
//! Run it twice: the second run finds what the first one wrote.

#![allow(missing_docs, reason = "the names of a small program say it")]

mod connect;

use chrono::{DateTime, Utc};
use evercore::{Aggregate, Apply, LogFilter, Position, RetryPolicy, event, state_event};
use serde::{Deserialize, Serialize};

/// The state of a user, rebuilt from the three events.
#[derive(Debug, Default, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(events(UserCreated, UserUpdated, UserLoggedIn), snapshot_every = 100)]
pub struct User {
    pub username: String,
    pub email: String,
    pub is_active: bool,
    pub logins: u64,
}

/// Copies its fields into the state, by name.
#[state_event(User)]
pub struct UserCreated {
    pub username: String,
    pub email: String,
    pub is_active: bool,
}

/// A field that is `None` leaves the state's field alone.
#[state_event(User)]
pub struct UserUpdated {
    pub username: Option<String>,
    pub email: Option<String>,
    pub is_active: Option<bool>,
}

/// Does what [`Apply`] says.
#[event]
pub struct UserLoggedIn {
    pub at: DateTime<Utc>,
}

impl Apply<UserLoggedIn> for User {
    fn apply(&mut self, _event: &UserLoggedIn) {
        self.logins += 1;
    }
}

evercore::registry!(
    /// Every aggregate of this program.
    pub Domain { User }
);

const KEY: &str = "john@example.com";

#[tokio::main]
async fn main() -> evercore::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "quickstart.db".to_owned());
    let store = connect::connect::<Domain>(&url).await?;

    if !store.read_only().exists_by_key::<User>(KEY).await? {
        // A unit of work: nothing is written before `commit`, which writes everything at once.
        let ctx = store.begin();
        let mut user = ctx.create_with_key::<User>(KEY).await?;
        let (username, email) = ("johndoe".to_owned(), KEY.to_owned());
        ctx.apply(&mut user, UserCreated { username, email, is_active: false })?;
        ctx.apply(&mut user, UserUpdated { username: None, email: None, is_active: Some(true) })?;
        let receipt = ctx.commit().await?;
        let written = &receipt.aggregates()[0];
        println!("created user {} with {} events", written.id, written.sequence);
    }

    let user = store.load_by_key::<User>(KEY).await?;
    println!("loaded user {} by the key {KEY:?}: {:?}", user.id(), user.state());
    println!("  replayed {} events, now at sequence {}", user.replay().events, user.sequence());

    // The same as a closure: commits when it answers `Ok`, and runs again when somebody else was faster.
    let id = user.id();
    let (logins, receipt) = store
        .unit()
        .retry(RetryPolicy::default())
        .run(async |ctx| {
            let mut user = ctx.load(id).await?;
            ctx.apply(&mut user, UserLoggedIn { at: Utc::now() })?;
            Ok(user.logins)
        })
        .await?;
    println!("added login {logins}, committed at {}", receipt.committed_at());

    println!("the last events of the log:");
    let mut log = store.log(LogFilter::new().aggregate::<User>(), Position::START);
    for event in log.page(1_000).await?.events.iter().rev().take(3).rev() {
        println!("  {:>3}  {}  {:?}", event.position(), event.recorded_at(), event.decode::<Domain>()?);
    }

    store.close().await?;
    Ok(())
}
