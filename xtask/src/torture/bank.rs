//! What the writers write.

use evercore::{Aggregate, Apply, event};
use serde::{Deserialize, Serialize};

/// It has snapshots, so that loads beside writers use them.
#[derive(Debug, Default, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Deposited, Withdrawn), snapshot_every = 100)]
pub(super) struct Account {
    balance: i64,
}

#[event]
pub(super) struct Deposited {
    pub(super) amount: i64,
}

/// Comes more rarely: one of the readers reads these alone.
#[event]
pub(super) struct Withdrawn {
    pub(super) amount: i64,
}

impl Apply<Deposited> for Account {
    fn apply(&mut self, event: &Deposited) {
        self.balance = self.balance.wrapping_add(event.amount);
    }
}

impl Apply<Withdrawn> for Account {
    fn apply(&mut self, event: &Withdrawn) {
        self.balance = self.balance.wrapping_sub(event.amount);
    }
}

evercore::registry!(pub(super) Bank { Account });
