//! What becomes of events that a handler cannot handle, in SQLite.
//!
//! ```text
//! cargo run --example subscription_sqlite
//! SQLITE_TEST_RUNNER_CONNECTION=sqlite://payments.db cargo run --example subscription_sqlite
//! ```
//!
//! Without the variable the store is in memory. In a file, the second run goes on where the first one was.

#![allow(missing_docs, reason = "the names of a small program say it")]

use std::{env, error::Error, time::Duration};

use evercore::{Aggregate, EventStore, HandlerError, OnFailure, Position, RetryPolicy, state_event};
use evercore_sqlite::SqliteEngine;
use tokio::sync::oneshot;

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(PaymentMade), snapshot = off)]
struct Payment {
    cents: i64,
}

#[state_event(Payment)]
struct PaymentMade {
    cents: i64,
}

evercore::registry!(Domain { Payment });

const BOOKS: &str = "books";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let url = env::var("SQLITE_TEST_RUNNER_CONNECTION").unwrap_or_else(|_| "sqlite::memory:".to_owned());
    let store = EventStore::open::<Domain>(SqliteEngine::connect(&url).await?).await?;
    for cents in [1_250, -1, 300] {
        pay(&store, cents).await?;
    }

    // A batch that fails comes again after a pause, then its events come one by one. One that still fails alone
    // ends the subscription, which is the default, or is skipped and recorded.
    let (stop, stopped) = oneshot::channel::<()>();
    let booking = tokio::spawn({
        let books = store
            .subscription(BOOKS)
            .aggregate::<Payment>()
            .decode::<Payment>()
            .retry(RetryPolicy::none().with_attempts(3).with_base(Duration::from_millis(5)))
            .on_failure(OnFailure::Skip)
            .until(async { drop(stopped.await) });
        books.run(async |batch| {
            for payment in batch {
                let PaymentEvent::PaymentMade(made) = payment.event;
                book(made.cents)?;
            }
            Ok(())
        })
    });
    store.wait_until_caught_up(BOOKS, Duration::from_secs(10)).await?;
    drop(stop);
    booking.await??;

    for failed in store.failed_deliveries(BOOKS, Position::START, 100).await? {
        println!("event {} failed {} times: {}", failed.position, failed.attempts, failed.error);
    }
    // With a handler that knows what to do they are delivered again, whether or not the subscription runs.
    let books = store.subscription(BOOKS).decode::<Payment>();
    let retried = books.retry_failed(async |batch| {
        for payment in batch {
            println!("event {} is a refund", payment.recorded.position());
        }
        Ok(())
    });
    println!("{} of them are settled", retried.await?.handled.len());
    store.close().await?;
    Ok(())
}

fn book(cents: i64) -> Result<(), HandlerError> {
    if cents < 0 {
        return Err(format!("cannot book a payment of {cents} cents").into());
    }
    println!("booked {cents} cents");
    Ok(())
}

async fn pay(store: &EventStore, cents: i64) -> evercore::Result<()> {
    store
        .with_context(async |ctx| {
            let mut payment = ctx.create::<Payment>().await?;
            ctx.apply(&mut payment, PaymentMade { cents })
        })
        .await
}
