//! Follows the log with a durable subscription: it delivers every event, in order, and remembers how far it is.
//!
//! ```text
//! cargo run --example subscription
//! ```
//!
//! Here the store is in memory. `subscription_sqlite` and `subscription_postgres` show more of subscriptions, on
//! databases.

#![allow(missing_docs, reason = "the names of a small program say it")]

use std::{error::Error, time::Duration};

use evercore::{Aggregate, EventStore, state_event};
use evercore_memory::MemoryEngine;
use tokio::sync::oneshot;

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(OrderPlaced, OrderShipped), snapshot = off)]
struct Order {
    customer: String,
    carrier: Option<String>,
}

#[state_event(Order)]
struct OrderPlaced {
    customer: String,
}

#[state_event(Order)]
struct OrderShipped {
    carrier: Option<String>,
}

evercore::registry!(Domain { Order });

/// The name under which the cursor is stored.
const LETTERS: &str = "letters";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let store = EventStore::open::<Domain>(MemoryEngine::new()).await?;
    place_and_ship(&store, "Ada").await?;

    // What was committed before it runs for the first time is delivered as well.
    let (stop, stopped) = oneshot::channel();
    let writing = tokio::spawn(write_letters(store.clone(), stopped));
    place_and_ship(&store, "Bob").await?;

    // Subscriptions are a little behind. Who has to see the effects of a commit waits for them.
    store.wait_until_caught_up(LETTERS, Duration::from_secs(10)).await?;

    // In good order: the batch in hand is finished, the cursor stored, and the subscription free for others.
    drop(stop);
    writing.await??;

    // Nobody runs it now.
    place_and_ship(&store, "Eve").await?;
    for status in store.subscriptions().await? {
        println!(
            "{}: {:?}, {} behind, {}",
            status.name,
            status.state,
            status.positions_behind(),
            status.filter
        );
    }

    // The next run goes on where the last one was: Ada and Bob get no second letter.
    let (stop, stopped) = oneshot::channel();
    let writing = tokio::spawn(write_letters(store.clone(), stopped));
    store.wait_until_caught_up(LETTERS, Duration::from_secs(10)).await?;
    drop(stop);
    writing.await??;
    store.close().await?;
    Ok(())
}

/// Writes a letter for each order that is shipped, until it is told to stop.
async fn write_letters(store: EventStore, stopped: oneshot::Receiver<()>) -> evercore::Result<()> {
    let letters = store
        .subscription(LETTERS)
        .aggregate::<Order>()
        .event::<OrderShipped>() // the engine holds back the others
        .decode::<Order>() // events come as `OrderEvent`
        .until(async { drop(stopped.await) });
    // Batches come at least once: a crash between a handler's effect and the checkpoint repeats the batch in hand.
    letters
        .run(async |batch| {
            for shipped in batch {
                let OrderEvent::OrderShipped(event) = shipped.event else { continue };
                let order = store.load::<Order>(shipped.recorded.aggregate_id().typed()).await?;
                let carrier = event.carrier.unwrap_or_default();
                println!("Dear {}, your order left with {carrier}.", order.customer);
            }
            Ok(())
        })
        .await
}

async fn place_and_ship(store: &EventStore, customer: &str) -> evercore::Result<()> {
    store
        .with_context(async |ctx| {
            let mut order = ctx.create::<Order>().await?;
            ctx.apply(&mut order, OrderPlaced { customer: customer.to_owned() })?;
            ctx.apply(&mut order, OrderShipped { carrier: Some("a pigeon".to_owned()) })
        })
        .await
}
