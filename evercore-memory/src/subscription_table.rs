//! Durable subscriptions: their cursors, who owns them, and what they could not deliver.

use std::{collections::BTreeMap, ops::Bound, time::Duration};

use evercore::{
    Position,
    engine::{
        Checkpoint, Claim, Fenced, FencingToken, NewFailedDelivery, NewSubscription, Owner, OwnerError,
        Renewal, StoredFailedDelivery, StoredSubscription, SubscriptionChange, Timestamp,
    },
};

/// A lease that is longer lasts so long: a thousand years, after which there still are timestamps.
const LONGEST_LEASE: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// All subscriptions of a store. Times are given by the caller, who has the clock.
#[derive(Debug, Default)]
pub(crate) struct SubscriptionTable {
    rows: BTreeMap<String, Row>,
    /// Kept when subscriptions are deleted: a token is never used again.
    last_token: i64,
}

/// A subscription and its failed deliveries.
#[derive(Debug)]
struct Row {
    subscription: StoredSubscription,
    failed: BTreeMap<Position, StoredFailedDelivery>,
}

impl SubscriptionTable {
    pub(crate) fn define(&mut self, new: &NewSubscription, now: Timestamp) -> StoredSubscription {
        if let Some(row) = self.rows.get(&new.name) {
            return row.subscription.clone();
        }
        let subscription = StoredSubscription {
            name: new.name.clone(),
            filter: new.filter.clone(),
            cursor: new.cursor,
            anchor: None,
            paused: false,
            failure: None,
            token: self.draw(),
            owner: None,
            defined_at: now,
            moved_at: now,
        };
        let row = Row { subscription: subscription.clone(), failed: BTreeMap::new() };
        self.rows.insert(new.name.clone(), row);
        subscription
    }

    pub(crate) fn claim(&mut self, name: &str, owner: &str, lease: Duration, now: Timestamp) -> Claim {
        let Some(row) = self.rows.get(name) else { return Claim::Unknown };
        if row.subscription.paused {
            return Claim::Paused;
        }
        if let Some(holder) = row.holder(now).filter(|holder| holder.name != owner) {
            return Claim::Held { owner: holder.name.clone(), remaining: between(now, holder.expires_at) };
        }
        let token = self.draw();
        let Some(row) = self.rows.get_mut(name) else { return Claim::Unknown };
        row.subscription.token = token;
        row.subscription.owner = Some(Owner { name: owner.to_owned(), expires_at: after(now, lease) });
        row.subscription.failure = None;
        Claim::Claimed(row.subscription.clone())
    }

    pub(crate) fn renew(&mut self, renewal: &Renewal, now: Timestamp) -> Option<Fenced> {
        let row = match self.owned(&renewal.name, renewal.token) {
            Ok(row) => row,
            Err(fenced) => return Some(fenced),
        };
        if let Some(owner) = &mut row.subscription.owner {
            owner.expires_at = after(now, renewal.lease);
        }
        None
    }

    pub(crate) fn checkpoint(&mut self, checkpoint: &Checkpoint, now: Timestamp) -> Result<(), OwnerError> {
        let row = self.owned(&checkpoint.name, checkpoint.token).map_err(OwnerError::Fenced)?;
        if row.subscription.cursor != checkpoint.from {
            return Err(OwnerError::Moved(row.subscription.cursor));
        }
        row.subscription.cursor = checkpoint.to;
        row.subscription.anchor = checkpoint.anchor.or(row.subscription.anchor);
        row.subscription.moved_at = now;
        for delivery in &checkpoint.failed {
            row.failed.insert(delivery.position, failed(delivery, now));
        }
        Ok(())
    }

    pub(crate) fn release(
        &mut self,
        name: &str,
        token: FencingToken,
        failure: Option<&str>,
    ) -> Result<(), OwnerError> {
        let row = self.owned(name, token).map_err(OwnerError::Fenced)?;
        row.subscription.owner = None;
        row.subscription.failure = failure.map(str::to_owned);
        Ok(())
    }

    pub(crate) fn change(
        &mut self,
        name: &str,
        change: &SubscriptionChange,
        token: Option<FencingToken>,
        now: Timestamp,
    ) -> Result<Option<StoredSubscription>, OwnerError> {
        match token {
            Some(token) => {
                self.owned(name, token).map_err(OwnerError::Fenced)?;
            }
            None if *change == SubscriptionChange::Resume => (),
            None => self.take_away(name),
        }
        if *change == SubscriptionChange::Delete {
            return Ok(self.rows.remove(name).map(|row| row.subscription));
        }
        let Some(row) = self.rows.get_mut(name) else { return Ok(None) };
        row.change(change, now);
        Ok(Some(row.subscription.clone()))
    }

    /// What is named, or everything, in the order of the names.
    pub(crate) fn list(&self, name: Option<&str>) -> Vec<StoredSubscription> {
        let wanted = |row: &&Row| name.is_none_or(|name| row.subscription.name == name);
        self.rows.values().filter(wanted).map(|row| row.subscription.clone()).collect()
    }

    pub(crate) fn failed(&self, name: &str, after: Position, limit: u32) -> Vec<StoredFailedDelivery> {
        let Some(row) = self.rows.get(name) else { return Vec::new() };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let later = row.failed.range((Bound::Excluded(after), Bound::Unbounded));
        later.take(limit).map(|(_, delivery)| delivery.clone()).collect()
    }

    pub(crate) fn drop_failed(&mut self, name: &str, position: Position) -> bool {
        self.rows.get_mut(name).and_then(|row| row.failed.remove(&position)).is_some()
    }

    /// The subscription, if this token is the one of its owner.
    fn owned(&mut self, name: &str, token: FencingToken) -> Result<&mut Row, Fenced> {
        let row = self.rows.get_mut(name).ok_or(Fenced::Deleted)?;
        match &row.subscription.owner {
            Some(_) if row.subscription.token == token => Ok(row),
            Some(owner) => Err(Fenced::TakenOver { owner: owner.name.clone() }),
            None if row.subscription.paused => Err(Fenced::Paused),
            None => Err(Fenced::Changed),
        }
    }

    fn take_away(&mut self, name: &str) {
        let token = self.draw();
        if let Some(row) = self.rows.get_mut(name) {
            row.subscription.token = token;
            row.subscription.owner = None;
        }
    }

    fn draw(&mut self) -> FencingToken {
        self.last_token += 1;
        FencingToken::new(self.last_token)
    }
}

impl Row {
    /// The owner whose lease has not expired.
    fn holder(&self, now: Timestamp) -> Option<&Owner> {
        self.subscription.owner.as_ref().filter(|owner| owner.expires_at > now)
    }

    fn change(&mut self, change: &SubscriptionChange, now: Timestamp) {
        let subscription = &mut self.subscription;
        match change {
            SubscriptionChange::Pause => {
                subscription.paused = true;
                subscription.owner = None;
            }
            SubscriptionChange::Resume => subscription.paused = false,
            SubscriptionChange::Redefine { filter } => subscription.filter.clone_from(filter),
            SubscriptionChange::Reset { cursor, filter } => {
                subscription.cursor = *cursor;
                subscription.moved_at = now;
                subscription.anchor = None;
                subscription.failure = None;
                if let Some(filter) = filter {
                    subscription.filter.clone_from(filter);
                }
            }
            // There is nothing left of it to change.
            SubscriptionChange::Delete => (),
        }
    }
}

fn failed(delivery: &NewFailedDelivery, failed_at: Timestamp) -> StoredFailedDelivery {
    StoredFailedDelivery {
        position: delivery.position,
        attempts: delivery.attempts,
        error: delivery.error.clone(),
        failed_at,
    }
}

fn after(now: Timestamp, lease: Duration) -> Timestamp {
    let micros = i64::try_from(lease.min(LONGEST_LEASE).as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.micros().saturating_add(micros)).unwrap_or(now)
}

fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(later.micros() - earlier.micros()).unwrap_or(0))
}
