//! The doorbell of a store: a commit of one engine rings at all others, in whatever process they are.
//!
//! Others are told by notifications of the server. They are sent by a task of their own after commits, because a
//! `NOTIFY` inside of a transaction makes all of the database commit one after the other. Readers look by
//! themselves from time to time, so that one which is lost does no harm.

mod hearer;
mod task;
mod teller;

use std::time::Duration;

use evercore::engine::{Doorbell, Listener};

use self::{hearer::Hearer, task::Task, teller::Teller};
use crate::{
    connections::{Connections, Limits, Target},
    error::Problem,
    statements::Statements,
};

/// How long to wait for the other side when a connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// The doorbell of this engine, which is in contact with those of all others on the same store.
pub(crate) struct SharedDoorbell {
    doorbell: Doorbell,
    channel: Channel,
    contacts: Contacts,
    limits: Limits,
    statements: Statements,
    telling: Task,
    hearing: Task,
}

/// Where others are told of commits, and where those of others are heard of.
pub(crate) struct Contacts {
    pub(crate) tell: Option<Target>,
    pub(crate) hear: Option<Target>,
}

impl SharedDoorbell {
    /// Of the store with this id. No connection is made before there is something to tell, or somebody listens.
    pub(crate) fn new(
        store: &str,
        contacts: Contacts,
        limits: Limits,
        statements: Statements,
    ) -> Result<Self, Problem> {
        let (channel, doorbell) = (Channel::of(store)?, Doorbell::new());
        let (telling, hearing) = (Task::default(), Task::default());
        Ok(Self { doorbell, channel, contacts, limits, statements, telling, hearing })
    }

    /// Wakes those who listen, and soon after those who listen at other engines.
    pub(crate) fn ring(&self) {
        self.doorbell.ring();
        let Some(target) = &self.contacts.tell else { return };
        self.telling.signal(|rings| {
            let limits = Limits { connections: 1, ..self.limits };
            let connections = Connections::new(target.for_doorbell(), limits);
            let teller =
                Teller { connections, statements: self.statements.clone(), channel: self.channel.clone() };
            teller.tell(rings)
        });
    }

    /// Hears all rings from now on.
    pub(crate) fn listen(&self) -> Listener {
        let listener = self.doorbell.listen();
        if let Some(target) = &self.contacts.hear {
            self.hearing.signal(|open| {
                let hearer = Hearer {
                    target: target.for_doorbell(),
                    limits: self.limits,
                    channel: self.channel.clone(),
                    doorbell: self.doorbell.clone(),
                };
                hearer.hear(open)
            });
        }
        listener
    }

    /// Tells others what they were not told yet, and ends all contact.
    pub(crate) async fn close(&self) {
        tokio::join!(self.telling.close(), self.hearing.close());
    }
}

/// The channel of a store's notifications, a name that needs no escaping anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Channel(String);

impl Channel {
    /// The server refuses longer ones.
    const MAX_BYTES: usize = 63;

    fn of(store: &str) -> Result<Self, Problem> {
        let name = format!("evercore_{store}");
        let is_safe = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        match is_safe && name.len() <= Self::MAX_BYTES {
            true => Ok(Self(name)),
            false => Err(Problem::Impossible { what: "the id of the store", value: store.to_owned() }),
        }
    }

    fn name(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Channel;

    #[test]
    fn a_channel_is_named_after_its_store() {
        let channel = Channel::of("0198c1e2-7b1a-4c57-9d3e-5f60718293a4").expect("a channel");
        assert_eq!(channel.name(), "evercore_0198c1e2-7b1a-4c57-9d3e-5f60718293a4");
    }

    #[test]
    fn what_would_need_escaping_is_no_channel() {
        for store in ["a\"b", "a b", "a;b", "é", &"x".repeat(60)] {
            assert!(Channel::of(store).is_err(), "{store}");
        }
    }
}
