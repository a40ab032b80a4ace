//! Subscriptions, in the forms in which applications write them.

mod definition;
mod delivery;
mod ephemeral;
mod failures;
mod faulty;
mod operations;
mod ownership;
mod readers;
mod shutdown;
mod starts;
mod streams;
mod support;
mod transactions;

use std::sync::Arc;

use evercore::{Aggregate, Batch, EventStore, Handler, HandlerError, RecordedEvent, StartFrom, state_event};
use evercore_memory::MemoryEngine;
use futures_util::TryStreamExt as _;
use tokio::sync::{Mutex, oneshot};

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Opened), snapshot = off)]
struct Account {
    owner: String,
}

#[state_event(Account)]
struct Opened {
    owner: String,
}

async fn store() -> EventStore {
    EventStore::open::<Account>(MemoryEngine::new()).await.unwrap()
}

async fn open(store: &EventStore, owner: &str) {
    let opened = store.with_context(async |ctx| {
        let mut account = ctx.create::<Account>().await?;
        ctx.apply(&mut account, Opened { owner: owner.to_owned() })
    });
    opened.await.unwrap();
}

#[tokio::test]
async fn a_closure_that_borrows_runs_in_a_task() {
    let store = store().await;
    open(&store, "Ada").await;
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn({
        let store = store.clone();
        async move {
            let owners = Mutex::new(Vec::new());
            let subscription = store.subscription("owners").decode::<Account>();
            let until = async { drop(stopped.await) };
            let run = subscription.until(until).run(async |batch| {
                for decoded in batch {
                    let AccountEvent::Opened(opened) = decoded.event;
                    owners.lock().await.push(opened.owner);
                }
                Ok(())
            });
            run.await.unwrap();
            owners.into_inner()
        }
    });
    open(&store, "Bob").await;
    store.wait_until_caught_up("owners", std::time::Duration::from_secs(5)).await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(task.await.unwrap(), ["Ada", "Bob"]);
}

#[tokio::test]
async fn a_handler_with_a_state_runs_in_a_task() {
    struct Count(Arc<Mutex<usize>>);
    impl Handler<RecordedEvent> for Count {
        async fn handle(&mut self, batch: Batch<RecordedEvent>) -> Result<(), HandlerError> {
            *self.0.lock().await += batch.len();
            Ok(())
        }
    }
    let store = store().await;
    let count = Arc::new(Mutex::new(0));
    let subscription = store.subscription("count");
    let task = tokio::spawn(subscription.run_handler(Count(Arc::clone(&count))));
    open(&store, "Ada").await;
    store.wait_until_caught_up("count", std::time::Duration::from_secs(5)).await.unwrap();
    assert_eq!(*count.lock().await, 1);
    task.abort();
}

#[tokio::test]
async fn streams_run_in_a_task() {
    let store = store().await;
    open(&store, "Ada").await;
    let task = tokio::spawn({
        let store = store.clone();
        async move {
            let mut batches = store.subscription("stream").stream().await?;
            let (batch, acknowledge) = batches.try_next().await?.unwrap();
            acknowledge.done().await?;
            batches.close().await;
            let mut events = store.ephemeral_subscription().start(StartFrom::Beginning).stream().await?;
            let first = events.try_next().await?.unwrap();
            Ok::<_, evercore::Error>((batch.len(), first.position()))
        }
    });
    let (count, position) = task.await.unwrap().unwrap();
    assert_eq!((count, position.get()), (1, 1));
    assert_eq!(store.subscriptions().await.unwrap()[0].cursor, position);
}
