//! What can be known of subscriptions.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::timeout;

use super::stored_filter::StoredFilter;
use crate::{
    Error, EventStore, Position, Result,
    engine::{LogRead, StoredEvent, StoredSubscription},
};

/// So long the list waits for the head of the log to be settled.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a durable subscription is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionStatus {
    /// Its name.
    pub name: String,
    /// Which events it is for, in words.
    pub filter: String,
    /// Whether it can run.
    pub state: SubscriptionState,
    /// Everything up to here was considered.
    pub cursor: Position,
    /// The head of the log.
    pub head: Position,
    /// How long the oldest event that is to be delivered has been in the store, by its clock; zero when there is
    /// none.
    pub lag: Duration,
    /// Who owns it, if somebody does.
    pub owner: Option<String>,
    /// When the lease expires unless it is renewed, by the store's clock. In the past, the owner was not heard of
    /// for too long, and nobody else has claimed it yet.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// When the cursor moved last.
    pub moved_at: DateTime<Utc>,
}

/// Whether a durable subscription can run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriptionState {
    /// It can, whether or not somebody owns it now.
    Active,
    /// It was paused, and waits for being resumed.
    Paused,
    /// Its last owner gave up, for this reason. It can be run again.
    Failed(String),
}

impl SubscriptionStatus {
    /// How many positions the cursor is behind the head. Numbers may be missing among them, and the filter may
    /// hold some of the events back.
    #[must_use]
    pub fn positions_behind(&self) -> u64 {
        u64::try_from(self.head.get().saturating_sub(self.cursor.get())).unwrap_or(0)
    }
}

impl EventStore {
    /// All durable subscriptions of the store, in the order of their names.
    ///
    /// While somebody who has appended does not end, and so holds up the readers of the log, its head is not known:
    /// then the furthest cursor counts as the head, and `lag` says how long the cursor has not moved.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn subscriptions(&self) -> Result<Vec<SubscriptionStatus>> {
        let list =
            self.engine_dyn().subscriptions(None).await.map_err(Error::engine("list subscriptions"))?;
        let head = timeout(PATIENCE, self.head()).await.ok().transpose()?;
        let furthest = list.subscriptions.iter().map(|stored| stored.cursor).max().unwrap_or_default();
        let mut statuses = Vec::with_capacity(list.subscriptions.len());
        for stored in list.subscriptions {
            let since = match head {
                Some(head) => self.first_waiting(&stored, head).await?.map(|event| event.recorded_at),
                None => (stored.cursor < furthest).then_some(stored.moved_at),
            };
            let lag = since.map_or(0, |since| list.now.micros().saturating_sub(since.micros()));
            statuses.push(status(stored, head.unwrap_or(furthest), lag));
        }
        Ok(statuses)
    }

    /// The first event up to a position that the subscription has not handled.
    pub(super) async fn first_waiting(
        &self,
        stored: &StoredSubscription,
        until: Position,
    ) -> Result<Option<StoredEvent>> {
        let mut after = stored.cursor;
        while after < until {
            // The types are looked up after what was written up to there, and so none is missing.
            let filter = StoredFilter::parse(&stored.filter).unwrap_or_default();
            let Some(filter) = filter.resolve(self).await? else { return Ok(None) };
            let read = LogRead { filter, after, limit: 1 };
            let page = self.engine_dyn().read_log(&read).await;
            let page = page.map_err(Error::engine(format_args!("read the log after position {after}")))?;
            match page.events.into_iter().next() {
                Some(event) => return Ok((event.position <= until).then_some(event)),
                None if page.end == after => return Ok(None),
                None => after = page.end,
            }
        }
        Ok(None)
    }

    pub(super) async fn find_subscription(&self, name: &str) -> Result<Option<StoredSubscription>> {
        let list = self.engine_dyn().subscriptions(Some(name)).await;
        let list = list.map_err(Error::engine(format_args!("look up the subscription {name:?}")))?;
        Ok(list.subscriptions.into_iter().next())
    }
}

fn status(stored: StoredSubscription, head: Position, lag_micros: i64) -> SubscriptionStatus {
    let filter = StoredFilter::parse(&stored.filter);
    let state = match (stored.paused, stored.failure) {
        (true, _) => SubscriptionState::Paused,
        (false, Some(failure)) => SubscriptionState::Failed(failure),
        (false, None) => SubscriptionState::Active,
    };
    let (owner, expires_at) = stored.owner.map(|owner| (owner.name, owner.expires_at)).unzip();
    SubscriptionStatus {
        name: stored.name,
        filter: filter.map_or(stored.filter, |filter| filter.to_string()),
        state,
        cursor: stored.cursor,
        head,
        lag: Duration::from_micros(u64::try_from(lag_micros).unwrap_or(0)),
        owner,
        lease_expires_at: expires_at.map(Into::into),
        moved_at: stored.moved_at.into(),
    }
}
