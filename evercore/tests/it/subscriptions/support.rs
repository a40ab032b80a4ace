//! What the tests of subscriptions do again and again.

use std::time::Duration;

use evercore::{
    Batch, EphemeralSubscription, Error, EventStore, Position, RecordedEvent, RetryPolicy, StartFrom,
    Subscription, SubscriptionStatus, engine::StorageEngine,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use crate::domain::{Account, Deposited, Domain};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Nobody waits for this long: what happens has another cause.
pub(crate) const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Retries without noticeable pauses.
pub(crate) fn quick(attempts: u32) -> RetryPolicy {
    RetryPolicy::none()
        .with_attempts(attempts)
        .with_base(Duration::from_micros(10))
        .with_cap(Duration::from_micros(10))
}

pub(crate) async fn open(engine: impl StorageEngine) -> EventStore {
    EventStore::open::<Domain>(engine).await.unwrap()
}

/// Stores so many events of a new account in one commit; returns the position of the last.
pub(crate) async fn deposit(store: &EventStore, events: i64) -> Position {
    let ctx = store.begin();
    let mut account = ctx.create::<Account>().await.unwrap();
    for amount in 1..=events {
        ctx.apply(&mut account, Deposited(amount)).unwrap();
    }
    ctx.commit().await.unwrap().last_position().unwrap()
}

pub(crate) fn positions(batch: &Batch<RecordedEvent>) -> Vec<i64> {
    batch.iter().map(|event| event.position().get()).collect()
}

/// What does not come ends the test.
#[track_caller]
pub(crate) fn soon<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move { timeout(LONG, work).await.unwrap_or_else(|_| panic!("{caller} waits in vain")) }
}

pub(crate) async fn status(store: &EventStore, name: &str) -> SubscriptionStatus {
    let all = store.subscriptions().await.unwrap();
    all.into_iter().find(|status| status.name == name).unwrap()
}

/// A subscription that runs in a task and tells what it gets.
pub(crate) struct Runner {
    task: JoinHandle<evercore::Result<()>>,
    batches: mpsc::UnboundedReceiver<Vec<i64>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Runner {
    pub(crate) fn of(subscription: Subscription) -> Self {
        let (told, batches) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = subscription.until(async { drop(stopped.await) }).run(move |batch| {
            let _ = told.send(positions(&batch));
            async { Ok(()) }
        });
        Self { task: tokio::spawn(run), batches, stop: Some(stop) }
    }

    pub(crate) fn of_ephemeral(subscription: EphemeralSubscription) -> Self {
        let (told, batches) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = subscription.until(async { drop(stopped.await) }).run(move |batch| {
            let _ = told.send(positions(&batch));
            async { Ok(()) }
        });
        Self { task: tokio::spawn(run), batches, stop: Some(stop) }
    }

    /// An ephemeral one that is ready.
    pub(crate) async fn of_ready(subscription: EphemeralSubscription) -> Self {
        let (ready, is_ready) = oneshot::channel();
        let runner = Self::of_ephemeral(subscription.on_ready(move |_| ready.send(()).unwrap()));
        soon(is_ready).await.unwrap();
        runner
    }

    /// The positions of the next batch.
    #[track_caller]
    pub(crate) fn next(&mut self) -> impl Future<Output = Vec<i64>> {
        let next = soon(self.batches.recv());
        async { next.await.expect("it runs") }
    }

    /// The next positions, so many at least.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<i64> {
        let mut positions = Vec::new();
        while positions.len() < count {
            positions.extend(self.next().await);
        }
        positions
    }

    pub(crate) fn request_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Shuts it down in good order, and returns what it got since.
    pub(crate) async fn stop(mut self) -> Vec<i64> {
        self.request_stop();
        soon(&mut self.task).await.unwrap().unwrap();
        let mut rest = Vec::new();
        while let Some(positions) = self.batches.recv().await {
            rest.extend(positions);
        }
        rest
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn ended(self) -> impl Future<Output = evercore::Result<()>> {
        let ended = soon(self.task);
        let stop = self.stop;
        async move {
            let ended = ended.await.unwrap();
            drop(stop);
            ended
        }
    }

    /// Drops its future, as a crash would.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// Runs the subscription up to the head of the log, and returns what it got.
    pub(crate) async fn to_head(store: &EventStore, name: &str, subscription: Subscription) -> Vec<i64> {
        let runner = Self::of(subscription);
        soon(store.wait_until_caught_up(name, LONG)).await.unwrap();
        runner.stop().await
    }
}

/// A durable subscription from the beginning.
pub(crate) fn durable(store: &EventStore) -> Subscription {
    store.subscription("s").start(StartFrom::Beginning).poll_interval(NEVER)
}

#[track_caller]
pub(crate) fn assert_fenced(ended: evercore::Result<()>, part: &str) {
    match ended {
        Err(error @ Error::Fenced { .. }) => {
            assert!(error.to_string().contains(part), "{error}");
        }
        other => panic!("{other:?} instead of a loss"),
    }
}
