//! The subscription group of the contract: every operation is one call on a connection's own thread.

use std::time::Duration;

use evercore::{
    Position,
    engine::{
        Checkpoint, Claim, EngineError, Fenced, FencingToken, NewSubscription, OwnerError, Renewal,
        StoredFailedDelivery, StoredSubscription, SubscriptionChange, SubscriptionEngine, SubscriptionList,
    },
};

use crate::{cursor, engine::SqliteEngine, subscription_table as table};

impl SubscriptionEngine for SqliteEngine {
    async fn define_subscription(
        &self,
        subscription: &NewSubscription,
    ) -> Result<StoredSubscription, EngineError> {
        let subscription = subscription.clone();
        let defined = self.threads().write(move |connection| table::define(connection, &subscription)).await;
        defined.map_err(|problem| problem.during("define a subscription"))
    }

    async fn claim_subscription(
        &self,
        name: &str,
        owner: &str,
        lease: Duration,
    ) -> Result<Claim, EngineError> {
        let (name, owner) = (name.to_owned(), owner.to_owned());
        let claim = self.threads().write(move |connection| table::claim(connection, &name, &owner, lease));
        claim.await.map_err(|problem| problem.during("claim a subscription"))
    }

    async fn renew_leases(&self, renewals: &[Renewal]) -> Result<Vec<Option<Fenced>>, EngineError> {
        let renewals = renewals.to_vec();
        let renewed = self.threads().write(move |connection| table::renew(connection, &renewals)).await;
        renewed.map_err(|problem| problem.during("renew leases"))
    }

    async fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), OwnerError> {
        let checkpoint = checkpoint.clone();
        let moved =
            self.threads().write_as_owner(move |connection| cursor::checkpoint(connection, &checkpoint));
        moved.await.map_err(|problem| problem.during(cursor::MOVE))
    }

    async fn release_subscription(
        &self,
        name: &str,
        token: FencingToken,
        failure: Option<&str>,
    ) -> Result<(), OwnerError> {
        let (name, failure) = (name.to_owned(), failure.map(str::to_owned));
        let released = self
            .threads()
            .write_as_owner(move |connection| table::release(connection, &name, token, failure.as_deref()));
        released.await.map_err(|problem| problem.during("release a subscription"))
    }

    async fn change_subscription(
        &self,
        name: &str,
        change: &SubscriptionChange,
        token: Option<FencingToken>,
    ) -> Result<Option<StoredSubscription>, OwnerError> {
        let (name, change) = (name.to_owned(), change.clone());
        let changed =
            self.threads().write_as_owner(move |connection| table::change(connection, &name, &change, token));
        changed.await.map_err(|problem| problem.during("change a subscription"))
    }

    async fn subscriptions(&self, name: Option<&str>) -> Result<SubscriptionList, EngineError> {
        let name = name.map(str::to_owned);
        let list = self.threads().read(move |connection| table::list(connection, name.as_deref())).await;
        list.map_err(|problem| problem.during("list subscriptions"))
    }

    async fn failed_deliveries(
        &self,
        name: &str,
        after: Position,
        limit: u32,
    ) -> Result<Vec<StoredFailedDelivery>, EngineError> {
        let name = name.to_owned();
        let failed =
            self.threads().read(move |connection| table::failed_deliveries(connection, &name, after, limit));
        failed.await.map_err(|problem| problem.during("list failed deliveries"))
    }

    async fn drop_failed_delivery(&self, name: &str, position: Position) -> Result<bool, EngineError> {
        let name = name.to_owned();
        let dropped =
            self.threads().write(move |connection| table::drop_failed_delivery(connection, &name, position));
        dropped.await.map_err(|problem| problem.during("drop a failed delivery"))
    }
}
