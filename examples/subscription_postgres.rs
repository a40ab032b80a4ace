//! Two services that share a subscription on PostgreSQL: one works, the other stands by and takes over.
//!
//! ```text
//! PG_TEST_RUNNER_CONNECTION=postgres://app:secret@localhost/app cargo run --example subscription_postgres
//! cargo run --example subscription_postgres
//! ```
//!
//! Without the variable it starts a server that is gone afterwards, for which PostgreSQL has to be installed. That part
//! is of no use to an application.

#![allow(missing_docs, reason = "the names of a small program say it")]

use std::{env, error::Error, time::Duration};

use evercore::{Aggregate, EventStore, state_event};
use evercore_postgres::PostgresEngine;
use tokio::{sync::oneshot, task::JoinHandle};
use xtask::postgres::{Database, Server};

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Measured), snapshot = off)]
struct Sensor {
    celsius: i64,
}

#[state_event(Sensor)]
struct Measured {
    celsius: i64,
}

evercore::registry!(Domain { Sensor });

const ALARMS: &str = "alarms";
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (url, _throwaway) = database()?;
    // Each has an engine of its own, as in processes of their own.
    let open = async || EventStore::open::<Domain>(PostgresEngine::connect(&url).await?).await;
    let (one, other) = (open().await?, open().await?);

    let (stop, first) = watch_over("first", &one);
    measure(&one, 21).await?;
    one.wait_until_caught_up(ALARMS, PATIENCE).await?;

    // The database says who owns a subscription. Without `standby` this would be the error `AlreadyOwned`.
    let (stop_second, second) = watch_over("second", &other);
    // A commit of one process wakes the owner in the other at once.
    measure(&other, 22).await?;
    one.wait_until_caught_up(ALARMS, PATIENCE).await?;

    // An owner that ends in good order gives the subscription up. One that crashes keeps it until its lease ends.
    drop(stop);
    first.await??;
    measure(&one, 23).await?;
    other.wait_until_caught_up(ALARMS, PATIENCE).await?;
    for status in other.subscriptions().await? {
        println!("{} at {} of {}, owned by {:?}", status.name, status.cursor, status.head, status.owner);
    }
    drop(stop_second);
    second.await??;

    one.close().await?;
    other.close().await?;
    Ok(())
}

/// Runs the subscription in a task until the sender is dropped.
fn watch_over(
    service: &'static str,
    store: &EventStore,
) -> (oneshot::Sender<()>, JoinHandle<evercore::Result<()>>) {
    let (stop, stopped) = oneshot::channel();
    let alarms = store
        .subscription(ALARMS)
        .aggregate::<Sensor>()
        .decode::<Sensor>()
        .standby()
        .lease(Duration::from_secs(5))
        .until(async { drop(stopped.await) });
    let run = alarms.run(move |batch| async move {
        for measured in batch {
            let SensorEvent::Measured(event) = measured.event;
            println!(
                "the {service} service sees {} °C, event {}",
                event.celsius,
                measured.recorded.position()
            );
        }
        Ok(())
    });
    (stop, tokio::spawn(run))
}

async fn measure(store: &EventStore, celsius: i64) -> evercore::Result<()> {
    store
        .with_context(async |ctx| {
            let mut sensor = ctx.create::<Sensor>().await?;
            ctx.apply(&mut sensor, Measured { celsius })
        })
        .await
}

/// The database that is named in the environment, else one that lives as long as the second value.
fn database() -> Result<(String, Option<Database>), xtask::Failure> {
    if let Ok(url) = env::var("PG_TEST_RUNNER_CONNECTION") {
        return Ok((url, None));
    }
    let database = Server::for_tests()?.create_database()?;
    Ok((database.url(), Some(database)))
}
