//! Looking for subscriptions that have become free: once for all who stand by.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

use crate::{
    Error, EventStore, Result,
    engine::{StoredSubscription, SubscriptionList, Timestamp},
};

/// The last look at the subscriptions of a store.
#[derive(Debug, Default)]
pub(crate) struct Lookout(Mutex<Option<Look>>);

#[derive(Debug)]
struct Look {
    begun: Instant,
    list: SubscriptionList,
}

impl Lookout {
    /// How long somebody else holds a subscription, as far as can be seen; `None` when a claim may succeed. A look
    /// that others had serves too, if it is not older than `age`.
    pub(super) async fn held(
        &self,
        store: &EventStore,
        name: &str,
        owner: &str,
        age: Duration,
    ) -> Result<Option<Duration>> {
        let now = Instant::now();
        let oldest = now.checked_sub(age).unwrap_or(now);
        let mut last = self.0.lock().await;
        let look = match last.take().filter(|look| look.begun >= oldest) {
            Some(look) => look,
            None => Look {
                begun: Instant::now(),
                list: store
                    .engine_dyn()
                    .subscriptions(None)
                    .await
                    .map_err(Error::engine("look for subscriptions that are free"))?,
            },
        };
        let look = last.insert(look);
        let subscriptions = &look.list.subscriptions;
        let found = subscriptions.binary_search_by(|stored| stored.name.as_str().cmp(name)).ok();
        Ok(found.and_then(|index| held(&subscriptions[index], owner, look.list.now)))
    }
}

fn held(stored: &StoredSubscription, owner: &str, now: Timestamp) -> Option<Duration> {
    if stored.paused {
        return Some(Duration::MAX);
    }
    let other = stored.owner.as_ref().filter(|other| other.name != owner)?;
    let remaining = other.expires_at.micros().saturating_sub(now.micros());
    u64::try_from(remaining).ok().filter(|micros| *micros > 0).map(Duration::from_micros)
}
