//! The process that is killed.

use std::time::Duration;

use super::{
    super::samples::Domain,
    CrashHarness,
    orders::{Mode, Orders},
    process::{live_no_longer_than_the_parent, say},
    stepping::{Stepping, Steps},
};
use crate::{Batch, EventStore, HandlerError, RecordedEvent, engine::TransactionalEngine};

/// The subscription that it runs.
pub(super) const NAME: &str = "killed";

/// So many events are in a batch.
pub(super) const BATCH: usize = 6;

/// Runs a subscription until it is killed, if this process was started for that.
#[doc(hidden)]
pub async fn child<H: CrashHarness>() {
    let Some(orders) = Orders::of_this_process() else { return };
    live_no_longer_than_the_parent();
    let engine = Stepping::new(H::connect(&orders.address).await, orders.stop.clone());
    let store = EventStore::open::<Domain>(engine).await.unwrap();
    let steps = store.engine::<Stepping<H::Engine>>().unwrap().steps();
    let subscription = store
        .subscription(NAME)
        .batch_size(u32::try_from(BATCH).unwrap())
        .lease(orders.lease)
        .poll_interval(Duration::from_millis(20))
        .standby();
    let ended = match orders.mode {
        Mode::Plain => subscription.run(async |batch| handle(&batch, steps).await).await,
        Mode::InTransaction => {
            let handler =
                async |batch: Batch<_>, transaction| in_transaction::<H>(&batch, steps, transaction).await;
            subscription.run_transactional::<Stepping<H::Engine>, _, _>(handler).await
        }
    };
    panic!("it ended by itself: {ended:?}");
}

type TransactionOf<H> = <<H as super::Harness>::Engine as TransactionalEngine>::Transaction;

async fn in_transaction<H: CrashHarness>(
    batch: &Batch<RecordedEvent>,
    steps: &Steps,
    mut transaction: TransactionOf<H>,
) -> Result<TransactionOf<H>, HandlerError> {
    begin(batch, steps).await;
    for (number, event) in batch.iter().enumerate() {
        reach(number, batch, steps).await;
        H::insert(event.position(), &mut transaction).await?;
        say("event", event.position());
    }
    steps.take("handled").await;
    Ok(transaction)
}

/// Handles a batch, step by step.
async fn handle(batch: &Batch<RecordedEvent>, steps: &Steps) -> Result<(), HandlerError> {
    begin(batch, steps).await;
    for (number, event) in batch.iter().enumerate() {
        reach(number, batch, steps).await;
        say("event", event.position());
    }
    steps.take("handled").await;
    Ok(())
}

async fn begin(batch: &Batch<RecordedEvent>, steps: &Steps) {
    say("batch", batch[0].position());
    steps.take("handle").await;
}

async fn reach(number: usize, batch: &Batch<RecordedEvent>, steps: &Steps) {
    if number == batch.len() / 2 {
        steps.take("half").await;
    }
}
