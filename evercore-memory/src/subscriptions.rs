//! The subscription group of the contract.

use std::time::Duration;

use evercore::{
    Position,
    engine::{
        Checkpoint, Claim, EngineError, Fenced, FencingToken, NewSubscription, OwnerError, Renewal,
        StoredFailedDelivery, StoredSubscription, SubscriptionChange, SubscriptionEngine, SubscriptionList,
    },
};

use crate::MemoryEngine;

impl SubscriptionEngine for MemoryEngine {
    async fn define_subscription(
        &self,
        subscription: &NewSubscription,
    ) -> Result<StoredSubscription, EngineError> {
        let mut tables = self.write("define a subscription")?;
        let now = tables.tick();
        Ok(tables.subscriptions.define(subscription, now))
    }

    async fn claim_subscription(
        &self,
        name: &str,
        owner: &str,
        lease: Duration,
    ) -> Result<Claim, EngineError> {
        let mut tables = self.write("claim a subscription")?;
        let now = tables.tick();
        Ok(tables.subscriptions.claim(name, owner, lease, now))
    }

    async fn renew_leases(&self, renewals: &[Renewal]) -> Result<Vec<Option<Fenced>>, EngineError> {
        let mut tables = self.write("renew leases")?;
        let now = tables.tick();
        Ok(renewals.iter().map(|renewal| tables.subscriptions.renew(renewal, now)).collect())
    }

    async fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), OwnerError> {
        let mut tables = self.write("make a checkpoint")?;
        let now = tables.tick();
        tables.subscriptions.checkpoint(checkpoint, now)
    }

    async fn release_subscription(
        &self,
        name: &str,
        token: FencingToken,
        failure: Option<&str>,
    ) -> Result<(), OwnerError> {
        self.write("release a subscription")?.subscriptions.release(name, token, failure)
    }

    async fn change_subscription(
        &self,
        name: &str,
        change: &SubscriptionChange,
        token: Option<FencingToken>,
    ) -> Result<Option<StoredSubscription>, OwnerError> {
        let mut tables = self.write("change a subscription")?;
        let now = tables.tick();
        tables.subscriptions.change(name, change, token, now)
    }

    async fn subscriptions(&self, name: Option<&str>) -> Result<SubscriptionList, EngineError> {
        let tables = self.read("list subscriptions")?;
        Ok(SubscriptionList { now: tables.now(), subscriptions: tables.subscriptions.list(name) })
    }

    async fn failed_deliveries(
        &self,
        name: &str,
        after: Position,
        limit: u32,
    ) -> Result<Vec<StoredFailedDelivery>, EngineError> {
        Ok(self.read("list failed deliveries")?.subscriptions.failed(name, after, limit))
    }

    async fn drop_failed_delivery(&self, name: &str, position: Position) -> Result<bool, EngineError> {
        Ok(self.write("drop a failed delivery")?.subscriptions.drop_failed(name, position))
    }
}
