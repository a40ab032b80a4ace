//! Telling other engines that something was committed.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};

use super::Channel;
use crate::{connections::Connections, error::Problem, statements::Statements};

/// There is one notification in this time, however many commits there are.
const PAUSE: Duration = Duration::from_millis(2);
/// How long others are not told anything after that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What it takes to tell others.
pub(super) struct Teller {
    pub(super) connections: Connections,
    pub(super) statements: Statements,
    pub(super) channel: Channel,
}

impl Teller {
    /// Sends a notification after each ring. What rings during the pause after one is told by the next.
    pub(super) async fn tell(self, mut rings: watch::Receiver<()>) {
        let mut is_warned = false;
        while rings.changed().await.is_ok() {
            match self.notify().await {
                Ok(()) => {
                    is_warned = false;
                    sleep(PAUSE).await;
                }
                Err(problem) => {
                    if !is_warned {
                        tracing::warn!(%problem, "other processes are not told of commits and have to look");
                    }
                    is_warned = true;
                    sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
        self.connections.close().await;
    }

    async fn notify(&self) -> Result<(), Problem> {
        let notify = self.statements.notify(self.channel.name());
        self.connections.fetch(&self.statements, notify).await.map(drop)
    }
}
