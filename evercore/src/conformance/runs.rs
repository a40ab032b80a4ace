//! Subscriptions that run in tasks of their own, for the cases that go through the store.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::subscribers::{LEASE, NAME};
use crate::{
    Batch, EphemeralSubscription, Error, EventStore, Handler, HandlerError, LogFilter, Position,
    RecordedEvent, Result, RetryPolicy, Subscription, SubscriptionStatus,
};

/// As long as a case may take: what does not happen until then never does.
pub(super) const SOON: Duration = Duration::from_secs(50);

/// Longer than a case: who polls so rarely has to be woken.
pub(super) const NEVER: Duration = Duration::from_secs(3600);

/// After so long a status that is waited for is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// No events were handled.
pub(super) const NOTHING: [i64; 0] = [];

type Until = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A subscription that runs in a task of its own. Dropped, it goes on.
pub(super) struct Run {
    task: JoinHandle<Result<()>>,
    handled: mpsc::UnboundedReceiver<RecordedEvent>,
    stop: oneshot::Sender<()>,
}

impl Run {
    /// Handles everything.
    pub(super) fn of(subscription: Subscription) -> Self {
        Self::by(subscription, async |_| Ok(()))
    }

    /// Handles what the handler does.
    pub(super) fn by<F, Fut>(subscription: Subscription, handler: F) -> Self
    where
        F: FnMut(Batch<RecordedEvent>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send,
    {
        Self::spawn(|until, handled| subscription.until(until).run_handler(Telling { handler, handled }))
    }

    /// Handles everything.
    pub(super) fn ephemeral(subscription: EphemeralSubscription) -> Self {
        let handler = async |_| Ok(());
        Self::spawn(|until, handled| subscription.until(until).run_handler(Telling { handler, handled }))
    }

    /// Runs what tells of the events that it handles, until it is asked to end.
    pub(super) fn spawn<Fut>(run: impl FnOnce(Until, mpsc::UnboundedSender<RecordedEvent>) -> Fut) -> Self
    where
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let (sender, handled) = mpsc::unbounded_channel();
        // A run that is dropped goes on: it was not asked to end.
        let until = async {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        Self { task: tokio::spawn(run(Box::pin(until), sender)), handled, stop }
    }

    /// The position of the next event that is handled.
    pub(super) async fn next(&mut self) -> i64 {
        match self.handled.recv().await {
            Some(event) => event.position().get(),
            None => panic!("it has ended: {:?}", (&mut self.task).await),
        }
    }

    pub(super) async fn take(&mut self, count: usize) -> Vec<i64> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.push(self.next().await);
        }
        taken
    }

    /// Asks it to end in good order.
    pub(super) fn request_stop(self) -> Ended {
        let _ = self.stop.send(());
        Ended { task: self.task, handled: self.handled }
    }

    /// Ends it in good order. Returns what it has handled since it was asked last.
    pub(super) async fn stop(self) -> Vec<i64> {
        self.request_stop().in_good_order().await
    }

    /// Waits for its end, which is an error.
    pub(super) async fn failed(self) -> (Vec<i64>, Error) {
        // The way to ask it to end must stay open until it has.
        let Self { task, handled, stop: _stop } = self;
        let error = task.await.unwrap().expect_err("it fails");
        (rest(handled), error)
    }

    /// Ends it wherever it is, as the end of its process would.
    pub(super) async fn crash(self) -> Vec<i64> {
        self.task.abort();
        let _ = self.task.await;
        rest(self.handled)
    }
}

/// A subscription that was asked to end.
pub(super) struct Ended {
    task: JoinHandle<Result<()>>,
    handled: mpsc::UnboundedReceiver<RecordedEvent>,
}

impl Ended {
    pub(super) async fn in_good_order(self) -> Vec<i64> {
        self.task.await.unwrap().unwrap();
        rest(self.handled)
    }
}

fn rest(mut handled: mpsc::UnboundedReceiver<RecordedEvent>) -> Vec<i64> {
    let mut positions = Vec::new();
    while let Ok(event) = handled.try_recv() {
        positions.push(event.position().get());
    }
    positions
}

/// Tells of the events that its handler has handled.
struct Telling<F> {
    handler: F,
    handled: mpsc::UnboundedSender<RecordedEvent>,
}

impl<F, Fut> Handler<RecordedEvent> for Telling<F>
where
    F: FnMut(Batch<RecordedEvent>) -> Fut + Send,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    async fn handle(&mut self, batch: Batch<RecordedEvent>) -> Result<(), HandlerError> {
        (self.handler)(batch.clone()).await?;
        for event in batch {
            let _ = self.handled.send(event);
        }
        Ok(())
    }
}

/// Lets a case decide when a handler goes on.
#[derive(Clone)]
pub(super) struct Gate(Arc<(Semaphore, Semaphore)>);

impl Gate {
    pub(super) fn shut() -> Self {
        Self(Arc::new((Semaphore::new(0), Semaphore::new(0))))
    }

    /// For the handler: says that it is here, and waits until it may go on.
    pub(super) async fn pass(&self) {
        self.0.0.add_permits(1);
        self.0.1.acquire().await.unwrap().forget();
    }

    /// Waits until a handler is here.
    pub(super) async fn reached(&self) {
        self.0.0.acquire().await.unwrap().forget();
    }

    /// Lets everybody through from now on.
    pub(super) fn open(&self) {
        self.0.1.add_permits(1_000);
    }
}

/// The subscription [`NAME`], which nobody else can own as long as it runs.
pub(super) fn subscription(store: &EventStore) -> Subscription {
    store.subscription(NAME).lease(LEASE).retry(quick_retry(2))
}

pub(super) fn quick_retry(attempts: u32) -> RetryPolicy {
    RetryPolicy::none().with_attempts(attempts).with_base(Duration::from_millis(1))
}

/// All events of the store.
pub(super) async fn log(store: &EventStore) -> Vec<RecordedEvent> {
    store.log(LogFilter::new(), Position::START).into_stream().try_collect().await.unwrap()
}

pub(super) fn positions<'a>(events: impl IntoIterator<Item = &'a RecordedEvent>) -> Vec<i64> {
    events.into_iter().map(|event| event.position().get()).collect()
}

/// How the subscription is doing; `None` when there is none of this name.
pub(super) async fn find_status(store: &EventStore, name: &str) -> Option<SubscriptionStatus> {
    store.subscriptions().await.unwrap().into_iter().find(|status| status.name == name)
}

pub(super) async fn status(store: &EventStore) -> SubscriptionStatus {
    find_status(store, NAME).await.unwrap()
}

pub(super) async fn cursor(store: &EventStore) -> i64 {
    status(store).await.cursor.get()
}

/// Waits until the subscription is as it is wanted.
pub(super) async fn until(store: &EventStore, name: &str, wanted: impl Fn(&SubscriptionStatus) -> bool) {
    let mut doorbell = store.watch();
    while !find_status(store, name).await.is_some_and(|status| wanted(&status)) {
        // Not at once: looking without a pause takes the processor away from what is waited for.
        let _ = timeout(LOOK_AGAIN, doorbell.rung()).await;
    }
}
