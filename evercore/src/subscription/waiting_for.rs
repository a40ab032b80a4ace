//! Waiting until a subscription has come far enough, to read what one has written.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{Error, EventStore, Position, Result, engine::StoredSubscription};

/// Other processes are asked this soon at first, each time twice as late, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Stands for times that have no end.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl EventStore {
    /// Waits until a subscription has handled everything up to a position, as that of a
    /// [receipt](crate::Receipt::last_position): what its handler wrote can be read then. Events that the filter
    /// holds back need not be waited for.
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
            match &found {
                Some(stored) if self.has_reached(stored, position).await? => return Ok(()),
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
        let head = self.head().await?;
        self.wait_for(name, head, timeout).await
    }

    /// Whether the position is settled, and no event that is to be delivered lies between it and the cursor.
    async fn has_reached(&self, stored: &StoredSubscription, position: Position) -> Result<bool> {
        Ok(stored.cursor >= position
            || self.head().await? >= position && self.first_waiting(stored, position).await?.is_none())
    }
}
