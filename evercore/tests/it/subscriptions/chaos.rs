//! Several processes, lost connections, crashes and handlers that fail, in every order that chance finds.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use evercore::{
    Batch, Error, EventStore, HandlerError, RecordedEvent, Subscription, engine::EngineErrorKind,
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    faulty::{Fault, FaultyEngine, LOST, Op, Transaction},
    support::{LONG, deposit, open, positions, quick, soon},
};

const OPS: [Op; 10] = [
    Op::ReadLog,
    Op::Head,
    Op::Claim,
    Op::Renew,
    Op::Checkpoint,
    Op::Release,
    Op::List,
    Op::Change,
    Op::Begin,
    Op::Finish,
];

type Run = fn(Subscription, Seen) -> JoinHandle<evercore::Result<()>>;
type Seen = Arc<Mutex<Vec<i64>>>;

/// Runs a subscription, again and again, as a supervisor would.
struct Process {
    engine: FaultyEngine,
    store: EventStore,
    run: Run,
    seen: Seen,
    task: JoinHandle<evercore::Result<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Process {
    async fn start(engine: FaultyEngine, run: Run, seen: Seen) -> Self {
        let store = open(engine.clone()).await;
        let (task, stop) = Self::spawn(&store, run, &seen);
        Self { engine, store, run, seen, task, stop: Some(stop) }
    }

    fn spawn(
        store: &EventStore,
        run: Run,
        seen: &Seen,
    ) -> (JoinHandle<evercore::Result<()>>, oneshot::Sender<()>) {
        let (stop, stopped) = oneshot::channel::<()>();
        // Under the name that it had, a process goes on at once after a crash.
        let owner = format!("{:p}", store.engine::<FaultyEngine>().unwrap());
        let subscription = store
            .subscription("s")
            .batch_size(fastrand::u32(1..6))
            .lease(Duration::from_millis(10))
            .retry(quick(3))
            .owner(owner)
            .standby()
            .until(async { drop(stopped.await) });
        (run(subscription, Arc::clone(seen)), stop)
    }

    /// Something happens to it.
    async fn live(&mut self) {
        match fastrand::u32(..10) {
            0 => self.task.abort(),
            1 => drop(self.stop.take()),
            _ => (0..fastrand::u32(1..4)).for_each(|_| {
                let fault = match fastrand::u32(..4) {
                    0 => LOST,
                    1 => Fault::Fails(EngineErrorKind::Busy),
                    2 => Fault::Fails(EngineErrorKind::Other),
                    _ => Fault::AnswerLost,
                };
                self.engine.disturb(OPS[fastrand::usize(..OPS.len())], [fault]);
            }),
        }
        if self.task.is_finished() {
            self.restart().await;
        }
    }

    async fn restart(&mut self) {
        match (&mut self.task).await {
            Ok(Ok(()) | Err(Error::Fenced { .. } | Error::SubscriptionFailed { .. })) => {}
            Ok(Err(Error::Engine { source, .. })) => assert_eq!(source.kind(), EngineErrorKind::Other),
            Ok(Err(error)) => panic!("{error:?}"),
            Err(ended) => assert!(ended.is_cancelled(), "{ended:?}"),
        }
        let (task, stop) = Self::spawn(&self.store, self.run, &self.seen);
        (self.task, self.stop) = (task, Some(stop));
    }
}

async fn happens(seed: u64, run: Run) -> (Vec<i64>, FaultyEngine, i64) {
    fastrand::seed(seed);
    let engine = FaultyEngine::new();
    let (writer, seen) = (open(engine.reopen()).await, Seen::default());
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(Process::start(engine.reopen(), run, Arc::clone(&seen)).await);
    }
    for _ in 0..100 {
        match fastrand::usize(..4) {
            0 => drop(deposit(&writer, fastrand::i64(1..6)).await),
            1 => super::elapse(Duration::from_millis(fastrand::u64(..2_000))).await,
            number => processes[number % 3].live().await,
        }
        for _ in 0..fastrand::u32(..20) {
            tokio::task::yield_now().await;
        }
    }
    let head = deposit(&writer, 1).await;
    let mut wait = Box::pin(soon(writer.wait_for("s", head, LONG)));
    loop {
        tokio::select! {
            waited = &mut wait => break waited.unwrap(),
            () = super::elapse(Duration::from_millis(20)) => {
                for process in &mut processes {
                    process.engine.calm();
                    if process.task.is_finished() {
                        process.restart().await;
                    }
                }
            }
        }
    }
    for process in &processes {
        process.task.abort();
    }
    let seen = seen.lock().unwrap().clone();
    (seen, engine, head.get())
}

/// What a handler does that has a bad day from time to time.
fn mood() -> Result<(), HandlerError> {
    match fastrand::u32(..12) {
        0 => Err("a bad day".into()),
        1 => std::panic::resume_unwind(Box::new("a very bad day")),
        _ => Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_transaction_every_event_is_handled_exactly_once() {
    fn run(subscription: Subscription, _: Seen) -> JoinHandle<evercore::Result<()>> {
        tokio::spawn(subscription.run_transactional::<FaultyEngine, _, _>(
            async |batch: Batch<RecordedEvent>, mut transaction: Transaction| {
                transaction.rows.extend(positions(&batch));
                tokio::task::yield_now().await;
                mood()?;
                Ok(transaction)
            },
        ))
    }
    for seed in 0..8 {
        let (_, engine, head) = happens(seed, run).await;
        assert_eq!(engine.rows(), Vec::from_iter(1..=head), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_event_is_handled_at_least_once_and_in_order() {
    fn run(subscription: Subscription, seen: Seen) -> JoinHandle<evercore::Result<()>> {
        tokio::spawn(subscription.run(move |batch| {
            let seen = Arc::clone(&seen);
            async move {
                tokio::task::yield_now().await;
                mood()?;
                seen.lock().unwrap().extend(positions(&batch));
                Ok(())
            }
        }))
    }
    for seed in 0..8 {
        let (seen, _, head) = happens(seed, run).await;
        let mut last = 0;
        for position in seen {
            assert!(position <= last + 1, "seed {seed}: {position} came after {last}");
            last = last.max(position);
        }
        assert_eq!(last, head, "seed {seed}");
    }
}
