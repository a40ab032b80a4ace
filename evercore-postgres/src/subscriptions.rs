//! The subscription group of the contract: every operation is one statement.
//!
//! What a statement changes it compares with the newest rows, after a wait for whoever is changing them. What it
//! says about rows that it did not change is of the moment at which it began. When that explains nothing, somebody
//! else was faster meanwhile, and it is run again.

use std::time::Duration;

use evercore::{
    Position,
    engine::{
        Checkpoint, Claim, EngineError, EngineErrorKind, Fenced, FencingToken, NewSubscription, OwnerError,
        Renewal, StoredFailedDelivery, StoredSubscription, SubscriptionChange, SubscriptionEngine,
        SubscriptionList, Timestamp,
    },
};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    engine::PostgresEngine,
    error::Problem,
    statements::Query,
    subscription_rows::{self as rows, Answer, Holder, Moved, Renewed},
    subscription_statements::Settings,
};

/// So often a statement is run again.
const TRIES: u32 = 50;

impl SubscriptionEngine for PostgresEngine {
    async fn define_subscription(&self, new: &NewSubscription) -> Result<StoredSubscription, EngineError> {
        match self.define(new).await.map_err(|problem| problem.during("define a subscription")) {
            Err(error) if error.kind() == EngineErrorKind::ReadOnly => {
                let found = SubscriptionEngine::subscriptions(self, Some(&new.name)).await?;
                found.subscriptions.into_iter().next().ok_or(error)
            }
            defined => defined,
        }
    }

    async fn claim_subscription(
        &self,
        name: &str,
        owner: &str,
        lease: Duration,
    ) -> Result<Claim, EngineError> {
        let claimed = self.claim(name, owner, lease).await;
        claimed.map_err(|problem| problem.during("claim a subscription"))
    }

    async fn renew_leases(&self, renewals: &[Renewal]) -> Result<Vec<Option<Fenced>>, EngineError> {
        self.renew(renewals).await.map_err(|problem| problem.during("renew leases"))
    }

    async fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), OwnerError> {
        for _ in 0..TRIES {
            let rows = self.write(|| self.statements().checkpoint(checkpoint, None)).await;
            let moved = rows.and_then(|rows| rows::moved(rows.first().ok_or(Problem::NoAnswer)?));
            if let Some(end) = end(moved.map_err(of_checkpoint)?, checkpoint) {
                return end;
            }
        }
        Err(of_checkpoint(Problem::Outrun(TRIES)))
    }

    async fn release_subscription(
        &self,
        name: &str,
        token: FencingToken,
        failure: Option<&str>,
    ) -> Result<(), OwnerError> {
        let released = self.owned(Some(token), "release a subscription", || {
            self.statements().release_subscription(name, token, failure)
        });
        released.await.map(drop)
    }

    async fn change_subscription(
        &self,
        name: &str,
        change: &SubscriptionChange,
        token: Option<FencingToken>,
    ) -> Result<Option<StoredSubscription>, OwnerError> {
        let settings = settings(change, token);
        self.owned(token, "change a subscription", || match settings {
            Some(settings) => self.statements().change_subscription(name, token, settings),
            None => self.statements().delete_subscription(name, token),
        })
        .await
    }

    async fn subscriptions(&self, name: Option<&str>) -> Result<SubscriptionList, EngineError> {
        let rows = self.fetch(self.statements().subscriptions(name)).await;
        rows.and_then(|rows| rows::list(&rows)).map_err(|problem| problem.during("list subscriptions"))
    }

    async fn failed_deliveries(
        &self,
        name: &str,
        after: Position,
        limit: u32,
    ) -> Result<Vec<StoredFailedDelivery>, EngineError> {
        let rows = self.fetch(self.statements().failed_deliveries(name, after, limit)).await;
        let failed = rows.and_then(|rows| rows.iter().map(rows::failed_delivery).collect());
        failed.map_err(|problem| problem.during("list failed deliveries"))
    }

    async fn drop_failed_delivery(&self, name: &str, position: Position) -> Result<bool, EngineError> {
        let dropped = self.write_number(|| self.statements().drop_failed_delivery(name, position)).await;
        Ok(dropped.map_err(|problem| problem.during("drop a failed delivery"))? > 0)
    }
}

impl PostgresEngine {
    async fn define(&self, new: &NewSubscription) -> Result<StoredSubscription, Problem> {
        for _ in 0..TRIES {
            match rows::answer(&self.write(|| self.statements().define_subscription(new)).await?)? {
                Answer::Done(defined) | Answer::Found(defined, _) => return Ok(defined),
                Answer::Missing => {}
            }
        }
        Err(Problem::Outrun(TRIES))
    }

    async fn claim(&self, name: &str, owner: &str, lease: Duration) -> Result<Claim, Problem> {
        for _ in 0..TRIES {
            let rows = self.write(|| self.statements().claim_subscription(name, owner, lease)).await?;
            match rows::answer(&rows)? {
                Answer::Done(claimed) => return Ok(Claim::Claimed(claimed)),
                Answer::Missing => return Ok(Claim::Unknown),
                Answer::Found(found, _) if found.paused => return Ok(Claim::Paused),
                Answer::Found(found, now) => {
                    if let Some(held) = held(found, owner, now) {
                        return Ok(held);
                    }
                }
            }
        }
        Err(Problem::Outrun(TRIES))
    }

    async fn renew(&self, renewals: &[Renewal]) -> Result<Vec<Option<Fenced>>, Problem> {
        if renewals.is_empty() {
            return Ok(Vec::new());
        }
        for _ in 0..TRIES {
            let rows = self.write(|| self.statements().renew_leases(renewals)).await?;
            if let Some(answers) = renewed(&rows, renewals)? {
                return Ok(answers);
            }
        }
        Err(Problem::Outrun(TRIES))
    }

    /// Runs a statement that does something with a token, or without one whoever the owner is.
    async fn owned<'q>(
        &self,
        token: Option<FencingToken>,
        operation: &'static str,
        query: impl Fn() -> Query<'q> + Send + Sync,
    ) -> Result<Option<StoredSubscription>, OwnerError> {
        for _ in 0..TRIES {
            let rows = self.write(&query).await;
            let answer = rows.and_then(|rows| rows::answer(&rows));
            match (answer.map_err(|problem| problem.during(operation))?, token) {
                (Answer::Done(now), _) => return Ok(Some(now)),
                (Answer::Missing, None) => return Ok(None),
                (Answer::Missing, Some(_)) => return Err(OwnerError::Fenced(Fenced::Deleted)),
                (Answer::Found(..), None) => {}
                (Answer::Found(found, _), Some(token)) => {
                    if let Some(fenced) = Holder::from(found).refusal(token) {
                        return Err(OwnerError::Fenced(fenced));
                    }
                }
            }
        }
        Err(Problem::Outrun(TRIES).during(operation).into())
    }
}

/// Moves a cursor inside a transaction of the application, if it is one of the engine's store.
pub(crate) async fn checkpoint_in(
    connection: &mut PgConnection,
    engine: &PostgresEngine,
    checkpoint: &Checkpoint,
) -> Result<(), OwnerError> {
    for _ in 0..TRIES {
        let query = engine.statements().checkpoint(checkpoint, Some(engine.store()));
        let query = engine.limits().calls.within(query);
        let row = query.fetch_one(&mut *connection).await.map_err(Problem::from);
        let moved = row.and_then(|row| rows::moved(&row));
        if let Some(end) = end(moved.map_err(of_checkpoint)?, checkpoint) {
            return end;
        }
    }
    Err(of_checkpoint(Problem::Outrun(TRIES)))
}

/// How a checkpoint ended; `None` when what was found does not explain why the cursor was not moved.
fn end(moved: Moved, checkpoint: &Checkpoint) -> Option<Result<(), OwnerError>> {
    let found = match moved {
        Moved::Done => return Some(Ok(())),
        Moved::NotFrom(None) => return Some(Err(OwnerError::Fenced(Fenced::Deleted))),
        Moved::NotFrom(Some(found)) => found,
    };
    let cursor = found.cursor;
    if let Some(fenced) = Holder::from(found).refusal(checkpoint.token) {
        return Some(Err(OwnerError::Fenced(fenced)));
    }
    (cursor != checkpoint.from).then_some(Err(OwnerError::Moved(cursor)))
}

fn of_checkpoint(problem: Problem) -> OwnerError {
    problem.during("make a checkpoint").into()
}

/// Who else holds the subscription; `None` when nobody does by now.
fn held(found: StoredSubscription, claimant: &str, now: Timestamp) -> Option<Claim> {
    let holder = found.owner.filter(|holder| holder.name != claimant && holder.expires_at > now)?;
    Some(Claim::Held { remaining: rows::between(now, holder.expires_at), owner: holder.name })
}

/// One answer for each lease; `None` when what was found does not explain why one of them was not renewed. To
/// renew the others once more does no harm.
fn renewed(rows: &[PgRow], renewals: &[Renewal]) -> Result<Option<Vec<Option<Fenced>>>, Problem> {
    let mut answers = rows.iter().map(rows::renewed).collect::<Result<Vec<_>, _>>()?;
    answers.sort_by_key(|answer| answer.place);
    if answers.len() != renewals.len() {
        return Err(Problem::NoAnswer);
    }
    let mut fenced = Vec::with_capacity(answers.len());
    for (Renewed { is_done, found, .. }, renewal) in answers.into_iter().zip(renewals) {
        let reason = match found {
            _ if is_done => None,
            None => Some(Fenced::Deleted),
            Some(holder) => match holder.refusal(renewal.token) {
                None => return Ok(None),
                refusal => refusal,
            },
        };
        fenced.push(reason);
    }
    Ok(Some(fenced))
}

/// What a change sets; `None` when it removes the subscription.
fn settings(change: &SubscriptionChange, token: Option<FencingToken>) -> Option<Settings<'_>> {
    let from_outside = token.is_none();
    let settings = Settings { draws_token: from_outside, takes_away: from_outside, ..Settings::default() };
    Some(match change {
        SubscriptionChange::Pause => Settings { paused: Some(true), takes_away: true, ..settings },
        SubscriptionChange::Resume => Settings { paused: Some(false), ..Settings::default() },
        SubscriptionChange::Redefine { filter } => Settings { filter: Some(filter), ..settings },
        SubscriptionChange::Reset { cursor, filter } => {
            Settings { cursor: Some(*cursor), filter: filter.as_deref(), ..settings }
        }
        SubscriptionChange::Delete => return None,
    })
}
