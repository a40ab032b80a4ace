//! The statements of the subscription group, and what is bound to them.

use std::time::Duration;

use evercore::{
    AggregateId, Position, Sequence,
    engine::{Checkpoint, EventIdentity, FencingToken, NewFailedDelivery, NewSubscription, Renewal},
};

use crate::{
    statements::{Query, Statements, column},
    time::Time,
};

/// A lease that is longer lasts so long: a thousand years, after which the server still knows times.
const LONGEST_LEASE: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// What a change sets; what is `None` stays.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings<'a> {
    pub(crate) paused: Option<bool>,
    pub(crate) filter: Option<&'a str>,
    pub(crate) cursor: Option<Position>,
    pub(crate) draws_token: bool,
    pub(crate) takes_away: bool,
}

impl Statements {
    /// Defines a subscription, or finds it.
    pub(crate) fn define_subscription<'q>(&self, new: &'q NewSubscription) -> Query<'q> {
        sqlx::query(self.define_subscription.clone()).bind(&new.name).bind(&new.filter).bind(new.cursor.get())
    }

    /// Claims a subscription that is free or this owner's, or finds it.
    pub(crate) fn claim_subscription<'q>(&self, name: &'q str, owner: &'q str, lease: Duration) -> Query<'q> {
        sqlx::query(self.claim_subscription.clone()).bind(name).bind(owner).bind(micros(lease))
    }

    /// Renews leases.
    pub(crate) fn renew_leases<'q>(&self, renewals: &'q [Renewal]) -> Query<'q> {
        sqlx::query(self.renew_leases.clone())
            .bind(column(renewals, |renewal| renewal.name.as_str()))
            .bind(column(renewals, |renewal| renewal.token.get()))
            .bind(column(renewals, |renewal| micros(renewal.lease)))
    }

    /// Moves a cursor, in the store with this id, or in whichever it is.
    pub(crate) fn checkpoint<'q>(&self, checkpoint: &'q Checkpoint, store: Option<&'q str>) -> Query<'q> {
        let Checkpoint { name, token, from, to, anchor, failed } = checkpoint;
        let query =
            sqlx::query(self.checkpoint.clone()).bind(name).bind(token.get()).bind(from.get()).bind(to.get());
        bind_failed(bind_anchor(query, *anchor), failed).bind(store)
    }

    /// Gives a subscription up.
    pub(crate) fn release_subscription<'q>(
        &self,
        name: &'q str,
        token: FencingToken,
        failure: Option<&str>,
    ) -> Query<'q> {
        sqlx::query(self.release_subscription.clone()).bind(name).bind(token.get()).bind(failure.map(text))
    }

    /// Changes a subscription itself.
    pub(crate) fn change_subscription<'q>(
        &self,
        name: &'q str,
        token: Option<FencingToken>,
        settings: Settings<'q>,
    ) -> Query<'q> {
        sqlx::query(self.change_subscription.clone())
            .bind(name)
            .bind(token.map(FencingToken::get))
            .bind(settings.paused)
            .bind(settings.filter)
            .bind(settings.cursor.map(Position::get))
            .bind(settings.draws_token)
            .bind(settings.takes_away)
    }

    /// Removes a subscription.
    pub(crate) fn delete_subscription<'q>(&self, name: &'q str, token: Option<FencingToken>) -> Query<'q> {
        sqlx::query(self.delete_subscription.clone()).bind(name).bind(token.map(FencingToken::get))
    }

    /// The subscription of this name, or all of them.
    pub(crate) fn subscriptions<'q>(&self, name: Option<&'q str>) -> Query<'q> {
        sqlx::query(self.subscriptions.clone()).bind(name)
    }

    /// The next failed deliveries of a subscription.
    pub(crate) fn failed_deliveries<'q>(&self, name: &'q str, after: Position, limit: u32) -> Query<'q> {
        sqlx::query(self.failed_deliveries.clone()).bind(name).bind(after.get()).bind(i64::from(limit))
    }

    /// Forgets a failed delivery.
    pub(crate) fn drop_failed_delivery<'q>(&self, name: &'q str, position: Position) -> Query<'q> {
        sqlx::query(self.drop_failed_delivery.clone()).bind(name).bind(position.get())
    }
}

fn bind_anchor(query: Query<'_>, anchor: Option<EventIdentity>) -> Query<'_> {
    query
        .bind(anchor.map(|event| event.position).map(Position::get))
        .bind(anchor.map(|event| event.aggregate_id).map(AggregateId::get))
        .bind(anchor.map(|event| event.sequence).map(Sequence::get))
        .bind(anchor.map(|event| Time(event.recorded_at)))
}

fn bind_failed<'q>(query: Query<'q>, failed: &'q [NewFailedDelivery]) -> Query<'q> {
    query
        .bind(column(failed, |delivery| delivery.position.get()))
        .bind(column(failed, |delivery| i64::from(delivery.attempts)))
        .bind(column(failed, |delivery| text(&delivery.error)))
}

fn micros(lease: Duration) -> i64 {
    i64::try_from(lease.min(LONGEST_LEASE).as_micros()).unwrap_or(i64::MAX)
}

/// What an application's error says may contain the one character that the server does not store.
fn text(error: &str) -> String {
    error.replace('\0', "\u{fffd}")
}
