//! Aggregates for the cases that go through the store.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Harness;
use crate::{Aggregate, AggregateId, Apply, Context, EventInfo, EventStore, Result, event, state_event};

/// Takes snapshots, and looks at the times of its events.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Opened, Deposited), snapshot_every = 5)]
pub(super) struct Account {
    pub(super) owner: String,
    pub(super) balance: i64,
    pub(super) latest: Option<DateTime<Utc>>,
}

#[state_event(Account)]
pub(super) struct Opened {
    pub(super) owner: String,
}

#[event]
pub(super) struct Deposited {
    pub(super) amount: i64,
}

impl Apply<Deposited> for Account {
    fn apply(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }

    fn apply_with(&mut self, event: &Deposited, info: &EventInfo) {
        self.apply(event);
        self.latest = Some(info.time());
    }
}

/// Takes no snapshots.
#[derive(Debug, Default, Clone, PartialEq, Aggregate)]
#[aggregate(events(Deposited), snapshot = off)]
pub(super) struct Order {
    pub(super) deposits: usize,
}

impl Apply<Deposited> for Order {
    fn apply(&mut self, _event: &Deposited) {
        self.deposits += 1;
    }
}

crate::registry!(
    /// All of them.
    pub(super) Domain { Account, Order }
);

pub(super) async fn open(harness: &impl Harness) -> EventStore {
    EventStore::open::<Domain>(harness.open().await).await.unwrap()
}

/// Two stores on engines of their own, as two processes have them.
pub(super) async fn open_two(harness: &impl Harness) -> [EventStore; 2] {
    [open(harness).await, open(harness).await]
}

pub(super) fn deposit() -> Deposited {
    Deposited { amount: 1 }
}

/// Stores an account whose key is also the name of its owner, with so many deposits.
pub(super) async fn stored_account(store: &EventStore, key: &str, deposits: usize) -> AggregateId<Account> {
    let work = async |ctx: Context| {
        let mut account = ctx.create_with_key::<Account>(key).await?;
        ctx.apply(&mut account, Opened { owner: key.to_owned() })?;
        for _ in 0..deposits {
            ctx.apply(&mut account, deposit())?;
        }
        Ok(account.id())
    };
    store.with_context(work).await.unwrap()
}

pub(super) async fn deposit_once(store: &EventStore, id: AggregateId<Account>) -> Result<()> {
    store.with_context(async |ctx| ctx.apply(&mut ctx.load(id).await?, deposit())).await
}

/// What the answers of tasks that ran at the same time were.
pub(super) async fn all<T: Send + 'static>(tasks: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}
