//! Rows of the subscription group to evercore's types.

use std::time::Duration;

use evercore::{
    AggregateId, Position, Sequence,
    engine::{
        EventIdentity, Fenced, FencingToken, Owner, StoredFailedDelivery, StoredSubscription,
        SubscriptionList, Timestamp,
    },
};
use sqlx::{Row as _, postgres::PgRow};

use crate::{error::Problem, row::timestamp};

/// What a statement says that does something to a subscription.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It was done, and this is the subscription now.
    Done(StoredSubscription),
    /// It was not, and this is the subscription as it was found at this time.
    Found(StoredSubscription, Timestamp),
    /// It was not, and there was no such subscription.
    Missing,
}

/// Whether a cursor was moved; if not, the subscription as it was found.
#[derive(Debug)]
pub(crate) enum Moved {
    Done,
    NotFrom(Option<StoredSubscription>),
}

/// Of one lease to renew, whether it was; if not, who holds the subscription that was found.
#[derive(Debug)]
pub(crate) struct Renewed {
    /// Which of the leases, counted from 1.
    pub(crate) place: i64,
    pub(crate) is_done: bool,
    pub(crate) found: Option<Holder>,
}

/// Who can prove to own a subscription, and how.
#[derive(Debug)]
pub(crate) struct Holder {
    token: FencingToken,
    owner: Option<String>,
    paused: bool,
}

impl Holder {
    /// Why this token proves nothing; `None` when it is the owner's.
    pub(crate) fn refusal(self, token: FencingToken) -> Option<Fenced> {
        match self.owner {
            Some(_) if self.token == token => None,
            Some(owner) => Some(Fenced::TakenOver { owner }),
            None if self.paused => Some(Fenced::Paused),
            None => Some(Fenced::Changed),
        }
    }
}

impl From<StoredSubscription> for Holder {
    fn from(found: StoredSubscription) -> Self {
        let StoredSubscription { token, owner, paused, .. } = found;
        Self { token, owner: owner.map(|owner| owner.name), paused }
    }
}

/// Of a statement that answers with a subscription.
pub(crate) fn answer(rows: &[PgRow]) -> Result<Answer, Problem> {
    let Some(row) = rows.first() else { return Ok(Answer::Missing) };
    let Some(found) = subscription(row)? else { return Ok(Answer::Missing) };
    Ok(match row.try_get("is_done")? {
        true => Answer::Done(found),
        false => Answer::Found(found, timestamp(row, "now")?),
    })
}

/// Of `checkpoint`.
pub(crate) fn moved(row: &PgRow) -> Result<Moved, Problem> {
    if !row.try_get::<bool, _>("is_own_store")? {
        return Err(Problem::ForeignTransaction);
    }
    Ok(match row.try_get("is_done")? {
        true => Moved::Done,
        false => Moved::NotFrom(subscription(row)?),
    })
}

/// Of `renew_leases`.
pub(crate) fn renewed(row: &PgRow) -> Result<Renewed, Problem> {
    let (place, is_done) = (row.try_get("place")?, row.try_get("is_done")?);
    let found = match row.try_get("exists")? {
        true => Some(Holder {
            token: FencingToken::new(row.try_get("token")?),
            owner: row.try_get("owner")?,
            paused: row.try_get("paused")?,
        }),
        false => None,
    };
    Ok(Renewed { place, is_done, found })
}

/// Of `subscriptions`.
pub(crate) fn list(rows: &[PgRow]) -> Result<SubscriptionList, Problem> {
    let now = timestamp(rows.first().ok_or(Problem::NoAnswer)?, "now")?;
    let subscriptions = rows.iter().filter_map(|row| subscription(row).transpose());
    Ok(SubscriptionList { now, subscriptions: subscriptions.collect::<Result<_, _>>()? })
}

/// Of `failed_deliveries`.
pub(crate) fn failed_delivery(row: &PgRow) -> Result<StoredFailedDelivery, Problem> {
    let attempts: i64 = row.try_get("attempts")?;
    let impossible = |_| Problem::Impossible { what: "a number of attempts", value: attempts.to_string() };
    Ok(StoredFailedDelivery {
        position: Position::new(row.try_get("position")?),
        attempts: u32::try_from(attempts).map_err(impossible)?,
        error: row.try_get("error")?,
        failed_at: timestamp(row, "failed_at")?,
    })
}

/// How long it is from one time to another one; nothing when that is over.
pub(crate) fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    let micros = later.micros().saturating_sub(earlier.micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// `None` for a row that says that there is none.
fn subscription(row: &PgRow) -> Result<Option<StoredSubscription>, Problem> {
    let Some(name) = row.try_get("name")? else { return Ok(None) };
    Ok(Some(StoredSubscription {
        name,
        filter: row.try_get("filter")?,
        cursor: Position::new(row.try_get("position")?),
        anchor: anchor(row)?,
        paused: row.try_get("paused")?,
        failure: row.try_get("failure")?,
        token: FencingToken::new(row.try_get("token")?),
        owner: owner(row)?,
        defined_at: timestamp(row, "defined_at")?,
        moved_at: timestamp(row, "moved_at")?,
    }))
}

fn owner(row: &PgRow) -> Result<Option<Owner>, Problem> {
    let Some(name) = row.try_get("owner")? else { return Ok(None) };
    Ok(Some(Owner { name, expires_at: timestamp(row, "expires_at")? }))
}

fn anchor(row: &PgRow) -> Result<Option<EventIdentity>, Problem> {
    let Some(position) = row.try_get("anchor_position")? else { return Ok(None) };
    Ok(Some(EventIdentity {
        position: Position::new(position),
        aggregate_id: AggregateId::new(row.try_get("anchor_aggregate_id")?),
        sequence: Sequence::new(row.try_get("anchor_sequence")?),
        recorded_at: timestamp(row, "anchor_recorded_at")?,
    }))
}
