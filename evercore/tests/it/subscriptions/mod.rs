//! Subscriptions, in the forms in which applications write them.

mod chaos;
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

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use evercore::{Aggregate, Batch, EventStore, Handler, HandlerError, RecordedEvent, StartFrom, state_event};
use evercore_memory::MemoryEngine;
use futures_util::TryStreamExt as _;
use tokio::sync::{Mutex, mpsc, oneshot};

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

#[tokio::test]
async fn other_forms_run_in_a_task_too() {
    let store = store().await;
    open(&store, "Ada").await;
    let (seen, mut told) = mpsc::unbounded_channel();
    let tasks = [
        tokio::spawn({
            let (store, seen) = (store.clone(), seen.clone());
            async move {
                let count = AtomicUsize::new(0);
                let ephemeral =
                    store.ephemeral_subscription().start(StartFrom::Beginning).decode::<Account>();
                let run = ephemeral.run(async |batch| {
                    count.fetch_add(batch.len(), Ordering::SeqCst);
                    seen.send(("ephemeral", count.load(Ordering::SeqCst)))?;
                    Ok(())
                });
                run.await
            }
        }),
        tokio::spawn({
            let (subscription, seen) = (store.subscription("moved"), seen.clone());
            subscription.run(move |batch| {
                let seen = seen.clone();
                async move {
                    seen.send(("moved", batch.len()))?;
                    Ok(())
                }
            })
        }),
        tokio::spawn({
            let (store, seen) = (store.clone(), seen.clone());
            async move {
                let mut count = 0;
                let run = store.subscription("counted").run(|batch| {
                    count += batch.len();
                    let sent = seen.send(("counted", count));
                    async move { Ok(sent?) }
                });
                run.await
            }
        }),
        tokio::spawn({
            let (store, seen) = (store.clone(), seen.clone());
            async move {
                store.wait_until_caught_up("moved", support::LONG).await?;
                let again = store.subscription("moved").decode::<Account>();
                let retried = again.retry_failed(async |_| Ok(seen.send(("never", 0))?)).await?;
                seen.send(("retried", 1 + retried.handled.len())).unwrap();
                Ok(())
            }
        }),
    ];
    let mut all = Vec::new();
    for _ in &tasks {
        all.push(support::soon(told.recv()).await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, [("counted", 1), ("ephemeral", 1), ("moved", 1), ("retried", 1)]);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Lets time pass in a test whose clock is paused: the tasks do all that they do in this time, and nobody waits for it.
async fn elapse(time: std::time::Duration) {
    let never = std::future::pending::<()>();
    assert!(tokio::time::timeout(time, never).await.is_err());
}
