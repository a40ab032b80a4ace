//! The object-safe mirror of the contract, so that stores are not generic.

use std::{any::Any, fmt, future::Future, pin::Pin, time::Duration};

use super::{
    Changes, Checkpoint, Claim, CommitError, CommitOutcome, EngineError, Fenced, FencingToken, IdBlock,
    Listener, Load, LoadedAggregate, LogPage, LogRead, NewSubscription, OwnerError, PastCommit, Renewal,
    StorageEngine, StoredFailedDelivery, StoredSubscription, SubscriptionChange, SubscriptionList, Timestamp,
    TypeCatalog, TypeNames,
};
use crate::{AggregateId, AggregateTypeId, NaturalKey, Position};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Answer<'a, T> = BoxFuture<'a, Result<T, EngineError>>;
type OwnerAnswer<'a, T> = BoxFuture<'a, Result<T, OwnerError>>;

/// [`StorageEngine`] with boxed futures; each method is the one of that name.
pub(crate) trait AnyEngine: fmt::Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn name(&self) -> &'static str;
    fn define_types<'a>(&'a self, names: &'a TypeNames) -> Answer<'a, TypeCatalog>;
    fn types(&self) -> Answer<'_, TypeCatalog>;
    fn reserve_ids(&self, count: u32) -> Answer<'_, IdBlock>;
    fn commit<'a>(&'a self, changes: &'a Changes) -> BoxFuture<'a, Result<CommitOutcome, CommitError>>;
    fn find_commit<'a>(&'a self, key: &'a str) -> Answer<'a, Option<PastCommit>>;
    fn forget_keys(&self, before: Timestamp) -> Answer<'_, u64>;
    fn find_by_key<'a>(
        &'a self,
        type_id: AggregateTypeId,
        key: &'a NaturalKey,
    ) -> Answer<'a, Option<AggregateId>>;
    fn load<'a>(&'a self, requests: &'a [Load]) -> Answer<'a, Vec<Option<LoadedAggregate>>>;
    fn aggregate_ids(
        &self,
        type_id: AggregateTypeId,
        after: Option<AggregateId>,
        limit: u32,
    ) -> Answer<'_, Vec<AggregateId>>;
    fn read_log<'a>(&'a self, read: &'a LogRead) -> Answer<'a, LogPage>;
    fn head(&self) -> Answer<'_, Position>;
    fn locate(&self, since: Timestamp) -> Answer<'_, Position>;
    fn watch(&self) -> Listener;
    fn close(&self) -> Answer<'_, ()>;

    fn define_subscription<'a>(&'a self, subscription: &'a NewSubscription)
    -> Answer<'a, StoredSubscription>;
    fn claim_subscription<'a>(&'a self, name: &'a str, owner: &'a str, lease: Duration) -> Answer<'a, Claim>;
    fn renew_leases<'a>(&'a self, renewals: &'a [Renewal]) -> Answer<'a, Vec<Option<Fenced>>>;
    fn checkpoint<'a>(&'a self, checkpoint: &'a Checkpoint) -> OwnerAnswer<'a, ()>;
    fn release_subscription<'a>(
        &'a self,
        name: &'a str,
        token: FencingToken,
        failure: Option<&'a str>,
    ) -> OwnerAnswer<'a, ()>;
    fn change_subscription<'a>(
        &'a self,
        name: &'a str,
        change: &'a SubscriptionChange,
        token: Option<FencingToken>,
    ) -> OwnerAnswer<'a, Option<StoredSubscription>>;
    fn subscriptions<'a>(&'a self, name: Option<&'a str>) -> Answer<'a, SubscriptionList>;
    fn failed_deliveries<'a>(
        &'a self,
        name: &'a str,
        after: Position,
        limit: u32,
    ) -> Answer<'a, Vec<StoredFailedDelivery>>;
    fn drop_failed_delivery<'a>(&'a self, name: &'a str, position: Position) -> Answer<'a, bool>;
}

impl<T: StorageEngine> AnyEngine for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        T::name(self)
    }

    fn define_types<'a>(&'a self, names: &'a TypeNames) -> Answer<'a, TypeCatalog> {
        Box::pin(T::define_types(self, names))
    }

    fn types(&self) -> Answer<'_, TypeCatalog> {
        Box::pin(T::types(self))
    }

    fn reserve_ids(&self, count: u32) -> Answer<'_, IdBlock> {
        Box::pin(T::reserve_ids(self, count))
    }

    fn commit<'a>(&'a self, changes: &'a Changes) -> BoxFuture<'a, Result<CommitOutcome, CommitError>> {
        Box::pin(T::commit(self, changes))
    }

    fn find_commit<'a>(&'a self, key: &'a str) -> Answer<'a, Option<PastCommit>> {
        Box::pin(T::find_commit(self, key))
    }

    fn forget_keys(&self, before: Timestamp) -> Answer<'_, u64> {
        Box::pin(T::forget_keys(self, before))
    }

    fn find_by_key<'a>(
        &'a self,
        type_id: AggregateTypeId,
        key: &'a NaturalKey,
    ) -> Answer<'a, Option<AggregateId>> {
        Box::pin(T::find_by_key(self, type_id, key))
    }

    fn load<'a>(&'a self, requests: &'a [Load]) -> Answer<'a, Vec<Option<LoadedAggregate>>> {
        Box::pin(T::load(self, requests))
    }

    fn aggregate_ids(
        &self,
        type_id: AggregateTypeId,
        after: Option<AggregateId>,
        limit: u32,
    ) -> Answer<'_, Vec<AggregateId>> {
        Box::pin(T::aggregate_ids(self, type_id, after, limit))
    }

    fn read_log<'a>(&'a self, read: &'a LogRead) -> Answer<'a, LogPage> {
        Box::pin(T::read_log(self, read))
    }

    fn head(&self) -> Answer<'_, Position> {
        Box::pin(T::head(self))
    }

    fn locate(&self, since: Timestamp) -> Answer<'_, Position> {
        Box::pin(T::locate(self, since))
    }

    fn watch(&self) -> Listener {
        T::watch(self)
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(T::close(self))
    }

    fn define_subscription<'a>(
        &'a self,
        subscription: &'a NewSubscription,
    ) -> Answer<'a, StoredSubscription> {
        Box::pin(T::define_subscription(self, subscription))
    }

    fn claim_subscription<'a>(&'a self, name: &'a str, owner: &'a str, lease: Duration) -> Answer<'a, Claim> {
        Box::pin(T::claim_subscription(self, name, owner, lease))
    }

    fn renew_leases<'a>(&'a self, renewals: &'a [Renewal]) -> Answer<'a, Vec<Option<Fenced>>> {
        Box::pin(T::renew_leases(self, renewals))
    }

    fn checkpoint<'a>(&'a self, checkpoint: &'a Checkpoint) -> OwnerAnswer<'a, ()> {
        Box::pin(T::checkpoint(self, checkpoint))
    }

    fn release_subscription<'a>(
        &'a self,
        name: &'a str,
        token: FencingToken,
        failure: Option<&'a str>,
    ) -> OwnerAnswer<'a, ()> {
        Box::pin(T::release_subscription(self, name, token, failure))
    }

    fn change_subscription<'a>(
        &'a self,
        name: &'a str,
        change: &'a SubscriptionChange,
        token: Option<FencingToken>,
    ) -> OwnerAnswer<'a, Option<StoredSubscription>> {
        Box::pin(T::change_subscription(self, name, change, token))
    }

    fn subscriptions<'a>(&'a self, name: Option<&'a str>) -> Answer<'a, SubscriptionList> {
        Box::pin(T::subscriptions(self, name))
    }

    fn failed_deliveries<'a>(
        &'a self,
        name: &'a str,
        after: Position,
        limit: u32,
    ) -> Answer<'a, Vec<StoredFailedDelivery>> {
        Box::pin(T::failed_deliveries(self, name, after, limit))
    }

    fn drop_failed_delivery<'a>(&'a self, name: &'a str, position: Position) -> Answer<'a, bool> {
        Box::pin(T::drop_failed_delivery(self, name, position))
    }
}
