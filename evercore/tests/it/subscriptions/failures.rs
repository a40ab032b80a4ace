//! Handlers that fail, and events that cannot be decoded.

use std::time::Duration;

use evercore::{
    Aggregate, Apply, Batch, Error, EventStore, Handler, HandlerError, OnFailure, Position, RecordedEvent,
    RetryPolicy, StartFrom, Subscription, SubscriptionState, engine::EngineErrorKind, event,
};
use evercore_memory::MemoryEngine;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    faulty::{Fault, FaultyEngine, Gate, Op},
    support::{LONG, Runner, deposit, durable, open, positions, quick, soon, status},
};
use crate::domain::Account;

type Delivered = mpsc::UnboundedReceiver<(Vec<i64>, u32)>;

/// Fails on every batch with this position; tells every batch and its attempt.
fn poisoned(
    subscription: Subscription,
    poison: i64,
    panics: bool,
) -> (JoinHandle<evercore::Result<()>>, Delivered) {
    let (told, delivered) = mpsc::unbounded_channel();
    let task = tokio::spawn(subscription.run(move |batch| {
        let positions = positions(&batch);
        let fails = positions.contains(&poison);
        told.send((positions, batch.attempt())).unwrap();
        assert!(!(fails && panics), "at {poison}");
        async move { if fails { Err("poison".into()) } else { Ok(()) } }
    }));
    (task, delivered)
}

fn drain(mut delivered: Delivered) -> Vec<(Vec<i64>, u32)> {
    std::iter::from_fn(|| delivered.try_recv().ok()).collect()
}

#[tokio::test]
async fn one_poison_event_in_a_batch_of_a_hundred_stops_it() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 100).await;
    let (task, delivered) = poisoned(durable(&store).retry(quick(3)), 57, false);
    let Err(Error::SubscriptionFailed { name, position, source, .. }) = soon(task).await.unwrap() else {
        panic!("it fails")
    };
    assert_eq!((&*name, position.get(), source.to_string()), ("s", 57, "poison".to_owned()));
    let delivered = drain(delivered);
    assert!(delivered[..3].iter().all(|(positions, _)| *positions == Vec::from_iter(1..=100)));
    let alone: Vec<_> = delivered[3..].iter().map(|(positions, _)| positions.as_slice()).collect();
    let wanted: Vec<_> = (1..=57).chain([57, 57]).map(|position| vec![position]).collect();
    assert_eq!(alone, wanted);
    let status = status(&store, "s").await;
    assert_eq!((status.cursor.get(), status.owner), (56, None));
    let SubscriptionState::Failed(why) = status.state else { panic!("{:?}", status.state) };
    assert!(why.contains("position 57") && why.ends_with(": poison"), "{why}");
    // It is tried again by the next run, which may be another version of the code.
    let rest = Runner::to_head(&store, "s", durable(&store)).await;
    assert_eq!(rest, Vec::from_iter(57..=100));
    assert_eq!(super::support::status(&store, "s").await.state, SubscriptionState::Active);
}

#[tokio::test]
async fn one_poison_event_in_a_batch_of_a_hundred_is_skipped_and_recorded() {
    for panics in [false, true] {
        let store = open(MemoryEngine::new()).await;
        deposit(&store, 100).await;
        let subscription = durable(&store).retry(quick(3)).on_failure(OnFailure::Skip);
        let (task, delivered) = poisoned(subscription, 57, panics);
        soon(store.wait_for("s", Position::new(100), LONG)).await.unwrap();
        deposit(&store, 2).await;
        soon(store.wait_for("s", Position::new(102), LONG)).await.unwrap();
        task.abort();
        let delivered = drain(delivered);
        assert_eq!(delivered.len(), 3 + 100 + 2 + 1);
        assert_eq!(delivered.last().unwrap(), &(vec![101, 102], 1), "in batches again");
        let failed = store.failed_deliveries("s", Position::START, 10).await.unwrap();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].position.get(), 57);
        assert_eq!(failed[0].attempts, 6, "three times with others, three times alone");
        let wanted = if panics { "the handler panicked: at 57" } else { "poison" };
        assert_eq!(failed[0].error, wanted);
    }
}

#[tokio::test]
async fn attempts_are_counted_over_batches_and_single_events() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 3).await;
    let (task, delivered) = poisoned(durable(&store).retry(quick(2)).on_failure(OnFailure::Skip), 2, false);
    soon(store.wait_for("s", Position::new(3), LONG)).await.unwrap();
    deposit(&store, 1).await;
    soon(store.wait_for("s", Position::new(4), LONG)).await.unwrap();
    task.abort();
    let all = vec![1, 2, 3];
    let wanted =
        [(all.clone(), 1), (all, 2), (vec![1], 3), (vec![2], 3), (vec![2], 4), (vec![3], 3), (vec![4], 1)];
    assert_eq!(drain(delivered), wanted);
}

#[tokio::test(start_paused = true)]
async fn retries_wait_longer_each_time_and_the_batch_does_not_grow() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let other = open(engine.reopen()).await;
    deposit(&store, 2).await;
    let begun = tokio::time::Instant::now();
    let (told, mut delivered) = mpsc::unbounded_channel();
    let policy = RetryPolicy::none()
        .with_attempts(8)
        .with_base(Duration::from_secs(1))
        .with_cap(Duration::from_secs(30));
    let task = tokio::spawn(durable(&store).retry(policy).run(move |batch| {
        told.send((positions(&batch), batch.attempt(), begun.elapsed())).unwrap();
        let fails = batch.attempt() < 8;
        async move { if fails { Err("later".into()) } else { Ok(()) } }
    }));
    let mut last = Duration::ZERO;
    for attempt in 1..=8 {
        let (positions, attempts, at) = delivered.recv().await.unwrap();
        assert_eq!((positions, attempts), (vec![1, 2], attempt));
        let longest = Duration::from_secs(if attempt == 1 { 0 } else { 1 << (attempt - 2) }.min(30));
        assert!(at - last <= longest + Duration::from_millis(5), "{attempt}: {:?}", at - last);
        last = at;
        // More comes meanwhile.
        deposit(&other, 1).await;
    }
    assert!(last > Duration::from_secs(5), "{last:?} is not much for seven pauses of up to 91 seconds");
    let (positions, attempts, _) = delivered.recv().await.unwrap();
    assert_eq!((positions.first(), attempts), (Some(&3), 1));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn the_idle_cursor_does_not_begin_the_attempts_anew() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let user = crate::domain::stored_user(&store, "john", 0).await;
    // It reads for itself, and each read takes a moment, as with a database.
    engine.break_down(Op::Head, Fault::Fails(EngineErrorKind::Other));
    let gate = Gate::new();
    gate.open();
    engine.break_down(Op::ReadLog, Fault::Before(gate));
    let filtered = durable(&store).event::<crate::domain::UserLoggedIn>();
    let policy = RetryPolicy::none()
        .with_attempts(100)
        .with_base(Duration::from_secs(4))
        .with_cap(Duration::from_secs(4));
    let (told, mut delivered) = mpsc::unbounded_channel();
    let task = tokio::spawn(filtered.retry(policy).run(move |batch| {
        told.send(batch.attempt()).unwrap();
        async { Err("never".into()) }
    }));
    crate::domain::log_in(&store, user).await;
    for attempt in 1..=50 {
        assert_eq!(delivered.recv().await, Some(attempt));
    }
    task.abort();
}

#[tokio::test]
async fn a_handler_with_a_state_may_panic_and_goes_on() {
    struct Fragile(u32, mpsc::UnboundedSender<u32>);
    impl Handler<RecordedEvent> for Fragile {
        async fn handle(&mut self, batch: Batch<RecordedEvent>) -> Result<(), HandlerError> {
            self.0 += 1;
            tokio::task::yield_now().await;
            assert!(self.0 > 2, "too early");
            self.1.send(batch.attempt())?;
            Ok(())
        }
    }
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 2).await;
    let (told, mut attempts) = mpsc::unbounded_channel();
    let task = tokio::spawn(durable(&store).retry(quick(5)).run_handler(Fragile(0, told)));
    assert_eq!(soon(attempts.recv()).await, Some(3));
    task.abort();
}

/// The code of somebody who has another idea of the same types.
mod elsewhere {
    use super::{Aggregate, Apply, event};

    #[derive(Debug, Default, Aggregate)]
    #[aggregate(name = "Account", events(Deposited), snapshot = off)]
    pub(super) struct Account {}

    #[event(name = "Deposited")]
    pub(super) struct Deposited(pub(super) String);

    impl Apply<Deposited> for Account {
        fn apply(&mut self, _: &Deposited) {}
    }
}

/// Six deposits, the third of which cannot be decoded.
async fn with_undecodable(store: &EventStore) {
    deposit(store, 2).await;
    let ctx = store.begin();
    let mut account = ctx.create::<elsewhere::Account>().await.unwrap();
    ctx.apply(&mut account, elsewhere::Deposited("much".to_owned())).unwrap();
    ctx.commit().await.unwrap();
    deposit(store, 3).await;
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_stops_it_after_those_before() {
    let store = open(MemoryEngine::new()).await;
    with_undecodable(&store).await;
    let (told, mut delivered) = mpsc::unbounded_channel();
    let run = durable(&store).decode::<Account>().run(async |batch| {
        Ok(told.send(batch.iter().map(|one| one.recorded.position().get()).collect::<Vec<_>>())?)
    });
    let Err(error @ Error::SubscriptionFailed { attempts: 1, .. }) = soon(run).await else {
        panic!("it fails")
    };
    assert_eq!(delivered.try_recv().unwrap(), [1, 2]);
    assert!(delivered.try_recv().is_err());
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("cannot be decoded"), "{cause}");
    assert_eq!(status(&store, "s").await.cursor.get(), 2);
    let ephemeral = store.ephemeral_subscription().start(StartFrom::Beginning).decode::<Account>();
    let ended = soon(ephemeral.run(async |_| Ok(()))).await;
    assert!(matches!(ended, Err(Error::SubscriptionFailed { position, .. }) if position.get() == 3));
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_is_skipped_and_recorded() {
    let store = open(MemoryEngine::new()).await;
    with_undecodable(&store).await;
    let (told, mut delivered) = mpsc::unbounded_channel();
    let subscription = durable(&store).decode::<Account>().on_failure(OnFailure::Skip);
    let task = tokio::spawn(subscription.run(move |batch| {
        told.send(batch.iter().map(|one| one.recorded.position().get()).collect::<Vec<_>>()).unwrap();
        async { Ok(()) }
    }));
    soon(store.wait_for("s", Position::new(6), LONG)).await.unwrap();
    assert_eq!(delivered.recv().await.unwrap(), [1, 2]);
    assert_eq!(delivered.recv().await.unwrap(), [4, 5, 6]);
    let failed = store.failed_deliveries("s", Position::START, 10).await.unwrap();
    assert_eq!((failed.len(), failed[0].position.get(), failed[0].attempts), (1, 3, 1));
    assert!(failed[0].error.contains("cannot be decoded: "), "{}", failed[0].error);
    // As it was stored it can be handled.
    let raw = durable(&store).retry_failed(async |batch| {
        assert_eq!(batch[0].payload().bytes, b"\"much\"");
        Ok(())
    });
    assert_eq!(raw.await.unwrap().handled, [Position::new(3)]);
    task.abort();
}

/// An event whose decoding panics: conversions are code of the application, too.
#[event]
#[derive(Clone)]
struct Mined(#[serde(deserialize_with = "refuse")] u8);

fn refuse<'de, D: serde::Deserializer<'de>>(_: D) -> Result<u8, D::Error> {
    panic!("nobody mines any more")
}

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Mined), snapshot = off)]
struct Mine {}

impl Apply<Mined> for Mine {
    fn apply(&mut self, _: &Mined) {}
}

#[tokio::test]
async fn a_panic_while_decoding_is_an_event_that_cannot_be_decoded() {
    let store = open(MemoryEngine::new()).await;
    let ctx = store.begin();
    let mut mine = ctx.create::<Mine>().await.unwrap();
    ctx.apply(&mut mine, Mined(1)).unwrap();
    ctx.commit().await.unwrap();
    let subscription = durable(&store).decode::<Mine>();
    let ended = soon(tokio::spawn(subscription.run(async |_| Ok(())))).await.unwrap();
    let Err(Error::SubscriptionFailed { source, .. }) = ended else { panic!("{ended:?}") };
    assert!(source.to_string().contains("nobody mines any more"), "{source}");
    assert_eq!(status(&store, "s").await.owner, None);
}

#[tokio::test]
async fn failed_deliveries_are_listed_retried_and_dropped() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 5).await;
    let task = tokio::spawn(
        durable(&store)
            .retry(RetryPolicy::none())
            .on_failure(OnFailure::Skip)
            .run(async |batch| if batch[0].position().get() % 2 == 0 { Ok(()) } else { Err("odd".into()) }),
    );
    soon(store.wait_for("s", Position::new(5), LONG)).await.unwrap();
    let list = async |after, limit| {
        let failed = store.failed_deliveries("s", Position::new(after), limit).await.unwrap();
        Vec::from_iter(failed.iter().map(|failed| failed.position.get()))
    };
    assert_eq!(list(0, 10).await, [1, 3, 5]);
    assert_eq!(list(0, 2).await, [1, 3]);
    assert_eq!(list(3, 2).await, [5]);
    assert!(store.failed_deliveries("other", Position::START, 10).await.unwrap().is_empty());
    assert!(store.drop_failed_delivery("s", Position::new(5)).await.unwrap());
    assert!(!store.drop_failed_delivery("s", Position::new(5)).await.unwrap());

    // While it runs.
    let retried = durable(&store).retry_failed(async |batch| {
        assert_eq!(batch.len(), 1);
        match batch[0].position().get() {
            1 => Ok(()),
            _ => panic!("still"),
        }
    });
    let retried = retried.await.unwrap();
    assert_eq!(retried.handled, [Position::new(1)]);
    assert_eq!(retried.failed, [(Position::new(3), "the handler panicked: still".to_owned())]);
    assert_eq!(list(0, 10).await, [3]);
    let retried = durable(&store).decode::<Account>().retry_failed(async |_| Ok(())).await.unwrap();
    assert_eq!((retried.handled.len(), retried.failed.len()), (1, 0));
    assert!(list(0, 10).await.is_empty());
    assert!(!task.is_finished());
    task.abort();
}

#[tokio::test]
async fn a_damaged_event_does_not_keep_others_from_being_retried() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 2).await;
    engine.spoil(1);
    let skipping = durable(&store).retry(RetryPolicy::none()).on_failure(OnFailure::Skip);
    let task = tokio::spawn(skipping.run(async |_| Err("no".into())));
    soon(store.wait_for("s", Position::new(2), LONG)).await.unwrap();
    task.abort();
    let retried = durable(&store).retry_failed(async |_| Ok(())).await.unwrap();
    assert_eq!(retried.handled, [Position::new(2)]);
    let [(position, why)] = &retried.failed[..] else { panic!("{retried:?}") };
    assert_eq!(position.get(), 1);
    assert!(why.contains("metadata"), "{why}");
}
