//! Waiting until a subscription has come far enough, to read what one has written.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{Error, EventStore, Position, Result};

/// Other processes are asked this soon at first, each time twice as late, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A look may take so long after the deadline, so that there is one also where there is no time to wait.
const LAST_LOOK: Duration = Duration::from_millis(200);

/// Stands for times that have no end.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl EventStore {
    /// Waits until a subscription has handled everything up to a position, as that of a
    /// [receipt](crate::Receipt::last_position): what its handler wrote can be read then. Events that the filter
    /// holds back need not be waited for. It may take a fifth of a second longer than `timeout`.
    ///
    /// ```
    /// # use evercore::{Aggregate, EventStore, state_event};
    /// # use evercore_memory::MemoryEngine;
    /// # use std::time::Duration;
    /// # #[derive(Debug, Default, Aggregate)]
    /// # #[aggregate(events(AccountOpened), snapshot = off)]
    /// # struct Account { owner: String }
    /// # #[state_event(Account)]
    /// # struct AccountOpened { owner: String }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> evercore::Result<()> {
    /// # let store = EventStore::open::<Account>(MemoryEngine::new()).await?;
    /// # tokio::spawn(store.subscription("accounts").run(async |_| Ok(())));
    /// let ctx = store.begin();
    /// let mut account = ctx.create::<Account>().await?;
    /// ctx.apply(&mut account, AccountOpened { owner: "Ada".into() })?;
    /// let receipt = ctx.commit().await?;
    ///
    /// let written = receipt.last_position().expect("there was an event");
    /// store.wait_for("accounts", written, Duration::from_secs(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::WaitTimedOut`]; [`Error::UnknownSubscription`] when there is none even then; [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn wait_for(&self, name: &str, position: Position, timeout: Duration) -> Result<()> {
        let now = Instant::now();
        let deadline = now.checked_add(timeout).unwrap_or(now + LONGEST_WAIT);
        let mut pause = SHORTEST_PAUSE;
        loop {
            // Heard from before the look on, so that no move is missed.
            let moved = self.hub().progressed.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let found = self.find_subscription(name).await?;
            // The end of the log is not settled while somebody who has appended does not end.
            let end = deadline.max(Instant::now() + LAST_LOOK);
            let has_reached = match &found {
                Some(stored) if stored.cursor >= position => true,
                Some(stored) => {
                    let looked = timeout_at(end, async {
                        let is_settled = self.head().await? >= position;
                        Ok::<_, Error>(is_settled && self.first_waiting(stored, position).await?.is_none())
                    });
                    looked.await.unwrap_or(Ok(false))?
                }
                None => false,
            };
            match &found {
                _ if has_reached => return Ok(()),
                _ if Instant::now() < deadline => {}
                Some(stored) => {
                    let (name, cursor) = (name.into(), stored.cursor);
                    return Err(Error::WaitTimedOut { name, position, cursor });
                }
                // Until now it could have run for the first time.
                None => return Err(Error::UnknownSubscription(name.into())),
            }
            let _ = timeout_at(deadline.min(Instant::now() + pause), moved).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until a subscription has handled everything that was committed before this call.
    ///
    /// # Errors
    ///
    /// As [`wait_for`](Self::wait_for).
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn wait_until_caught_up(&self, name: &str, timeout: Duration) -> Result<()> {
        let begun = Instant::now();
        match tokio::time::timeout(timeout.max(LAST_LOOK), self.head()).await {
            Ok(head) => self.wait_for(name, head?, timeout.saturating_sub(begun.elapsed())).await,
            // Nobody knows up to where: no position is reached by then.
            Err(_) => self.wait_for(name, Position::new(i64::MAX), Duration::ZERO).await,
        }
    }
}
