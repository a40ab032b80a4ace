//! A cache that hears of changes by an ephemeral subscription, which writes nothing to the store.
//!
//! ```text
//! cargo run --example ephemeral_cache                                                # in memory
//! EVERCORE_DSN=sqlite://prices.db cargo run --example ephemeral_cache                # in a file
//! EVERCORE_DSN=postgres://app:secret@localhost/app cargo run --example ephemeral_cache
//! ```

#![allow(missing_docs, reason = "the names of a small program say it")]

mod connect;

use std::{
    collections::HashMap,
    env,
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use evercore::{Aggregate, AggregateId, Batch, EventStore, Position, RecordedEvent, Result, state_event};
use tokio::sync::{oneshot, watch};

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(PriceSet), snapshot = off)]
struct Product {
    cents: u64,
}

#[state_event(Product)]
struct PriceSet {
    cents: u64,
}

evercore::registry!(Domain { Product });

/// Prices that need not be loaded again until they change.
struct Prices {
    store: EventStore,
    cached: Mutex<Cached>,
    /// Changes up to here have been heard of.
    heard: watch::Sender<Position>,
}

#[derive(Default)]
struct Cached {
    prices: HashMap<AggregateId<Product>, u64>,
    invalidations: u64,
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn Error + Send + Sync>> {
    let url = env::var("EVERCORE_DSN").unwrap_or_else(|_| "sqlite::memory:".to_owned());
    let store = connect::connect::<Domain>(&url).await?;
    let id = store.with_context(async |ctx| Ok(ctx.create::<Product>().await?.id())).await?;
    set_price(&store, id, 100).await?;

    let (heard, _) = watch::channel(Position::START);
    let prices = Arc::new(Prices { store: store.clone(), cached: Mutex::default(), heard });
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, is_ready) = oneshot::channel();
    let listening = tokio::spawn({
        let prices = Arc::clone(&prices);
        let changes = store
            .ephemeral_subscription()
            .aggregate::<Product>()
            // From this moment on every commit is delivered, so that what is cached now will be invalidated.
            .on_ready(move |position| {
                let _ = ready.send(position);
            })
            .until(async { drop(stopped.await) });
        async move {
            let invalidate = async |batch| {
                prices.invalidate(&batch);
                Ok(())
            };
            changes.run(invalidate).await
        }
    });
    println!("hears of every change after position {}", is_ready.await?);

    println!("loaded: {} cents", prices.price(id).await?);
    println!("cached: {} cents", prices.price(id).await?);
    let position = set_price(&store, id, 120).await?;
    prices.wait_until_heard(position).await?;
    println!("loaded again: {} cents", prices.price(id).await?);

    drop(stop);
    listening.await??;
    store.close().await?;
    Ok(())
}

impl Prices {
    async fn price(&self, id: AggregateId<Product>) -> Result<u64> {
        let invalidations = {
            let cached = self.cached();
            if let Some(price) = cached.prices.get(&id) {
                return Ok(*price);
            }
            cached.invalidations
        };
        let price = self.store.load(id).await?.cents;
        let mut cached = self.cached();
        // A change that was heard of meanwhile may be one of this price, and later than what was loaded.
        if cached.invalidations == invalidations {
            cached.prices.insert(id, price);
        }
        Ok(price)
    }

    fn invalidate(&self, batch: &Batch<RecordedEvent>) {
        let mut cached = self.cached();
        cached.invalidations += 1;
        for event in batch {
            cached.prices.remove(&event.aggregate_id().typed());
        }
        drop(cached);
        self.heard.send_replace(batch.end());
    }

    /// For who has to see a change in the cache that was just committed.
    async fn wait_until_heard(&self, position: Position) -> std::result::Result<(), watch::error::RecvError> {
        self.heard.subscribe().wait_for(|heard| *heard >= position).await.map(drop)
    }

    fn cached(&self) -> MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets a price and says where in the log that stands.
async fn set_price(store: &EventStore, id: AggregateId<Product>, cents: u64) -> Result<Position> {
    let ctx = store.begin();
    let mut product = ctx.load(id).await?;
    ctx.apply(&mut product, PriceSet { cents })?;
    let receipt = ctx.commit().await?;
    Ok(receipt.last_position().unwrap_or(Position::START))
}
