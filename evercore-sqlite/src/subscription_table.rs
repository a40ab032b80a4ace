//! Durable subscriptions on the engine's own connections: who owns them, and what becomes of them.
//!
//! Every change is a transaction that has the write lock from its start, and reads the clock after it has got the lock:
//! somebody else's transaction may have held it for long.

use std::time::Duration;

use evercore::{
    Position,
    engine::{
        Claim, Fenced, FencingToken, NewSubscription, Renewal, StoredFailedDelivery, StoredSubscription,
        SubscriptionChange, SubscriptionList, Timestamp,
    },
};
use rusqlite::{Connection, params};

use crate::{
    cursor, driver,
    error::{OwnerProblem, Problem},
    row, statements,
};

/// A lease that is longer lasts so long: a thousand years, after which there still are timestamps.
const LONGEST_LEASE: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// Defines a subscription, unless it is there: then nothing is written, also where nothing can be.
pub(crate) fn define(
    connection: &mut Connection,
    new: &NewSubscription,
) -> Result<StoredSubscription, Problem> {
    if let Some(stored) = find(connection, &new.name)? {
        return Ok(stored);
    }
    driver::in_transaction(connection, statements::BEGIN, |connection| {
        if let Some(stored) = find(connection, &new.name)? {
            return Ok(stored);
        }
        let (token, now) = (draw_token(connection)?, Timestamp::now());
        connection.prepare_cached(statements::DEFINE_SUBSCRIPTION)?.execute(params![
            new.name,
            new.filter,
            new.cursor.get(),
            token.get(),
            now.micros()
        ])?;
        read_again(connection, &new.name)
    })
}

/// Claims a subscription. Whoever stands by asks again and again: what cannot be claimed is refused without the write
/// lock, and nothing is written.
pub(crate) fn claim(
    connection: &mut Connection,
    name: &str,
    owner: &str,
    lease: Duration,
) -> Result<Claim, Problem> {
    if let Some(refused) = refuse(connection, name, owner)? {
        return Ok(refused);
    }
    driver::in_transaction(connection, statements::BEGIN, |connection| {
        if let Some(refused) = refuse(connection, name, owner)? {
            return Ok(refused);
        }
        let (token, expires_at) = (draw_token(connection)?, from_now(lease));
        let mut statement = connection.prepare_cached(statements::CLAIM_SUBSCRIPTION)?;
        statement.execute(params![name, token.get(), owner, expires_at])?;
        read_again(connection, name).map(Claim::Claimed)
    })
}

/// Why a subscription cannot be claimed now.
fn refuse(connection: &Connection, name: &str, owner: &str) -> Result<Option<Claim>, Problem> {
    let Some(found) = find(connection, name)? else { return Ok(Some(Claim::Unknown)) };
    if found.paused {
        return Ok(Some(Claim::Paused));
    }
    let now = Timestamp::now();
    let holder = found.owner.filter(|holder| holder.name != owner && holder.expires_at > now);
    Ok(holder.map(|holder| Claim::Held { owner: holder.name, remaining: between(now, holder.expires_at) }))
}

/// Renews leases, all in one transaction.
pub(crate) fn renew(
    connection: &mut Connection,
    renewals: &[Renewal],
) -> Result<Vec<Option<Fenced>>, Problem> {
    if renewals.is_empty() {
        return Ok(Vec::new());
    }
    driver::in_transaction(connection, statements::BEGIN, |connection| {
        renewals.iter().map(|renewal| renew_one(connection, renewal)).collect()
    })
}

fn renew_one(connection: &mut Connection, renewal: &Renewal) -> Result<Option<Fenced>, Problem> {
    let renewed = connection.prepare_cached(statements::RENEW_LEASE)?.execute(params![
        renewal.name,
        renewal.token.get(),
        from_now(renewal.lease)
    ])?;
    match renewed {
        1 => Ok(None),
        _ => lost(connection, &renewal.name, renewal.token),
    }
}

/// Gives a subscription up.
pub(crate) fn release(
    connection: &mut Connection,
    name: &str,
    token: FencingToken,
    failure: Option<&str>,
) -> Result<(), OwnerProblem> {
    driver::in_transaction(connection, statements::BEGIN, |connection| {
        require_owner(connection, name, token)?;
        Ok(run(connection, statements::RELEASE_SUBSCRIPTION, params![name, failure])?)
    })
}

/// Changes a subscription itself, by its owner or from outside.
pub(crate) fn change(
    connection: &mut Connection,
    name: &str,
    change: &SubscriptionChange,
    token: Option<FencingToken>,
) -> Result<Option<StoredSubscription>, OwnerProblem> {
    driver::in_transaction(connection, statements::BEGIN, |connection| {
        if let Some(token) = token {
            require_owner(connection, name, token)?;
        }
        let Some(before) = find(connection, name)? else { return Ok(None) };
        if token.is_none() && *change != SubscriptionChange::Resume {
            let token = draw_token(connection)?;
            run(connection, statements::DISOWN_SUBSCRIPTION, params![name, token.get()])?;
        }
        make(connection, name, change)?;
        match change {
            SubscriptionChange::Delete => Ok(Some(before)),
            _ => Ok(find(connection, name)?),
        }
    })
}

fn make(connection: &Connection, name: &str, change: &SubscriptionChange) -> Result<(), Problem> {
    match change {
        SubscriptionChange::Pause => run(connection, statements::PAUSE_SUBSCRIPTION, params![name]),
        SubscriptionChange::Resume => run(connection, statements::RESUME_SUBSCRIPTION, params![name]),
        SubscriptionChange::Redefine { filter } => {
            run(connection, statements::REDEFINE_SUBSCRIPTION, params![name, filter])
        }
        SubscriptionChange::Reset { cursor, filter } => {
            let now = Timestamp::now();
            let parameters = params![name, cursor.get(), filter, now.micros()];
            run(connection, statements::RESET_SUBSCRIPTION, parameters)
        }
        SubscriptionChange::Delete => run(connection, statements::DELETE_SUBSCRIPTION, params![name]),
    }
}

/// The subscription of this name, or all of them.
pub(crate) fn list(connection: &Connection, name: Option<&str>) -> Result<SubscriptionList, Problem> {
    let subscriptions = match name {
        Some(name) => find(connection, name)?.into_iter().collect(),
        None => {
            let mut statement = connection.prepare_cached(statements::SUBSCRIPTIONS)?;
            statement.query_and_then([], row::subscription)?.collect::<Result<_, _>>()?
        }
    };
    Ok(SubscriptionList { now: Timestamp::now(), subscriptions })
}

/// The next failed deliveries of a subscription.
pub(crate) fn failed_deliveries(
    connection: &Connection,
    name: &str,
    after: Position,
    limit: u32,
) -> Result<Vec<StoredFailedDelivery>, Problem> {
    let mut statement = connection.prepare_cached(statements::FAILED_DELIVERIES)?;
    statement.query_and_then(params![name, after.get(), limit], row::failed_delivery)?.collect()
}

/// Forgets a failed delivery, and says whether there was one.
pub(crate) fn drop_failed_delivery(
    connection: &Connection,
    name: &str,
    position: Position,
) -> Result<bool, Problem> {
    let mut statement = connection.prepare_cached(statements::DROP_FAILED_DELIVERY)?;
    Ok(statement.execute(params![name, position.get()])? == 1)
}

fn find(connection: &Connection, name: &str) -> Result<Option<StoredSubscription>, Problem> {
    let mut statement = connection.prepare_cached(statements::FIND_SUBSCRIPTION)?;
    statement.query_and_then([name], row::subscription)?.next().transpose()
}

/// One that has just been written.
fn read_again(connection: &Connection, name: &str) -> Result<StoredSubscription, Problem> {
    find(connection, name)?.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
}

fn require_owner(connection: &mut Connection, name: &str, token: FencingToken) -> Result<(), OwnerProblem> {
    match lost(connection, name, token)? {
        None => Ok(()),
        Some(fenced) => Err(OwnerProblem::Fenced(fenced)),
    }
}

/// What became of a subscription whose owner had this token; `None` when that still is the owner.
fn lost(connection: &mut Connection, name: &str, token: FencingToken) -> Result<Option<Fenced>, Problem> {
    let found = driver::now(statements::ownership(connection, name))?;
    Ok(cursor::fenced(found.as_ref(), token).err())
}

/// A token that is greater than all before it.
fn draw_token(connection: &Connection) -> Result<FencingToken, Problem> {
    let token = connection.prepare_cached(statements::DRAW_TOKEN)?.query_row([], |row| row.get(0))?;
    Ok(FencingToken::new(token))
}

fn run(
    connection: &Connection,
    sql: &'static str,
    parameters: &[&dyn rusqlite::ToSql],
) -> Result<(), Problem> {
    connection.prepare_cached(sql)?.execute(parameters)?;
    Ok(())
}

/// The end of a lease that begins now, in microseconds.
fn from_now(lease: Duration) -> i64 {
    let micros = i64::try_from(lease.min(LONGEST_LEASE).as_micros()).unwrap_or(i64::MAX);
    Timestamp::now().micros().saturating_add(micros)
}

fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(later.micros() - earlier.micros()).unwrap_or(0))
}
