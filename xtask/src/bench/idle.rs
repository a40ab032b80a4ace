//! What subscriptions cost that have nothing to do.

use std::{future::ready, time::Duration};

use evercore::{EventStore, StartFrom};
use sqlx::{Connection as _, PgConnection};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::{
    memory::processor_time,
    place::{Kind, Place},
    plant::{Meter, measured},
    table::{Figure, Table},
    task::Outcome,
};

const SUBSCRIPTIONS: u32 = 100;

/// How long to look.
const SPAN: Duration = Duration::from_secs(20);

/// After so long a server has counted what its sessions did: one that falls idle may wait 10 s with that.
const UNTIL_COUNTED: Duration = Duration::from_secs(12);

/// Measures on a store of its own.
pub(super) async fn measure(kind: Kind, table: &mut Table) -> Outcome {
    let place = Place::new(kind)?;
    let store = place.open().await?;
    eprintln!("{kind}: {SUBSCRIPTIONS} subscriptions do nothing for {} s ...", SPAN.as_secs());
    let _running = run_all(&store).await?;
    sleep(UNTIL_COUNTED).await;
    let (statements, time) = (statements(&place).await?, processor_time());
    sleep(SPAN).await;
    let what = "100 idle subscriptions";
    if let (Some(before), Some(after)) = (statements, self::statements(&place).await?) {
        let rate = (after - before) / SPAN.as_secs_f64();
        table.add(kind, what, Figure::StatementsPerSecond(rate), Some(Figure::AtMost(10.0)));
    }
    if let (Some(before), Some(after)) = (time, processor_time()) {
        let share = (after - before) / SPAN.as_secs_f64() * 100.0;
        table.add(kind, what, Figure::PercentOfCore(share), Some(Figure::AtMost(5.0)));
    }
    Ok(())
}

/// Starts them, and returns when each has handled an event.
async fn run_all(store: &EventStore) -> Outcome<JoinSet<evercore::Result<()>>> {
    let mut running = JoinSet::new();
    let (handled, mut events) = mpsc::unbounded_channel();
    for number in 0..SUBSCRIPTIONS {
        let handled = handled.clone();
        let subscription = store.subscription(format!("idle {number}")).start(StartFrom::Beginning);
        running.spawn(subscription.run(move |batch| ready(handled.send(batch.len()).map_err(Into::into))));
    }
    let context = store.begin();
    let mut meter = context.create::<Meter>().await?;
    context.apply(&mut meter, measured(1))?;
    context.commit().await?;
    for _ in 0..SUBSCRIPTIONS {
        events.recv().await.ok_or("a subscription has ended")?;
    }
    Ok(running)
}

/// How many transactions the server has made in the database; each statement of a subscription is one.
async fn statements(place: &Place) -> Outcome<Option<f64>> {
    let Place::Postgres(database, server_url) = place else { return Ok(None) };
    // From another database, so that looking does not count.
    let mut session = PgConnection::connect(server_url).await?;
    let sql = "SELECT (xact_commit + xact_rollback)::float8 FROM pg_stat_database WHERE datname = $1";
    Ok(Some(sqlx::query_scalar(sql).bind(database.name()).fetch_one(&mut session).await?))
}
