//! Handlers that work in the transaction in which the cursor moves.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use super::{
    Harness,
    runs::{Gate, NOTHING, Run, cursor, log, positions, quick_retry, status, subscription, until},
    samples::{Account, Deposited, Order, deposit_once, open, open_two, stored_account},
    subscribers::{LEASE, NAME, SHORT_LEASE},
};
use crate::{
    AggregateId, Batch, Context, Error, EventStore, HandlerError, RecordedEvent, Result, StartFrom,
    Subscription, SubscriptionState,
    engine::{Fenced, TransactionalEngine},
};

/// An order whose events say which events of accounts were handled: what the handlers write.
struct Mirror<E> {
    store: EventStore,
    order: AggregateId<Order>,
    engine: std::marker::PhantomData<fn() -> E>,
}

impl<E> Clone for Mirror<E> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), ..*self }
    }
}

impl<E: TransactionalEngine> Mirror<E> {
    async fn new(store: &EventStore) -> Self {
        let create = async |ctx: Context| Ok(ctx.create::<Order>().await?.id());
        let order = store.with_context(create).await.unwrap();
        Self { store: store.clone(), order, engine: std::marker::PhantomData }
    }

    /// The same one, written through another store.
    fn through(&self, store: &EventStore) -> Self {
        Self { store: store.clone(), ..self.clone() }
    }

    /// Writes an event for each one of the batch, in the transaction.
    async fn write(&self, batch: &Batch<RecordedEvent>, transaction: &mut E::Transaction) -> Result<()> {
        let ctx = self.store.begin();
        let mut order = ctx.load(self.order).await?;
        for event in batch {
            ctx.apply(&mut order, Deposited { amount: event.position().get() })?;
        }
        let prepared = ctx.prepare::<E>().await?;
        let answer = prepared.engine().commit_in(prepared.changes(), transaction).await;
        prepared.resolve(answer).map(drop)
    }

    /// The positions that were written.
    async fn written(&self) -> Vec<i64> {
        let log = log(&self.store).await;
        let mine = log.iter().filter(|event| event.aggregate_id() == self.order.untyped());
        mine.map(|event| event.decode_event::<Deposited>().unwrap().unwrap().amount).collect()
    }

    /// Runs a subscription that writes, and then does something else in the same transaction.
    fn run<F, Fut>(&self, subscription: Subscription, after: F) -> Run
    where
        F: Fn(Batch<RecordedEvent>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send,
    {
        let mirror = self.clone();
        Run::spawn(move |until, _| {
            let run = subscription.aggregate::<Account>().until(until);
            run.run_transactional::<E, _, _>(move |batch, mut transaction| {
                let (mirror, after) = (mirror.clone(), after.clone());
                async move {
                    mirror.write(&batch, &mut transaction).await?;
                    after(batch).await?;
                    Ok(transaction)
                }
            })
        })
    }
}

/// The positions of all events of accounts.
async fn accounts(store: &EventStore) -> Vec<i64> {
    positions(log(store).await.iter().filter(|event| event.aggregate_type() == "Account"))
}

async fn until_cursor(store: &EventStore, position: i64) {
    until(store, NAME, |status| status.cursor.get() >= position).await;
}

pub(super) async fn the_cursor_moves_with_what_was_written<H: Harness<Engine: TransactionalEngine>>(
    harness: H,
) {
    let store = open(&harness).await;
    let mirror = Mirror::<H::Engine>::new(&store).await;
    let id = stored_account(&store, "ada", 24).await;
    let run = mirror.run(subscription(&store).batch_size(10), async |_| Ok(()));
    let source = accounts(&store).await;
    until_cursor(&store, source[24]).await;
    deposit_once(&store, id).await.unwrap();
    let source = accounts(&store).await;
    until_cursor(&store, source[25]).await;
    assert_eq!(mirror.written().await, source);
    run.stop().await;
    assert_eq!(mirror.written().await, source);
}

pub(super) async fn when_the_handler_fails_nothing_is_written<H: Harness<Engine: TransactionalEngine>>(
    harness: H,
) {
    let store = open(&harness).await;
    let mirror = Mirror::<H::Engine>::new(&store).await;
    stored_account(&store, "ada", 9).await;
    let source = accounts(&store).await;
    let poison = source[6];
    let failing = move |batch: Batch<RecordedEvent>| {
        let is_poisoned = positions(&*batch).contains(&poison);
        async move { if is_poisoned { Err("it is poison".into()) } else { Ok(()) } }
    };
    let (_, error) = mirror.run(subscription(&store), failing).failed().await;
    assert!(
        matches!(&error, Error::SubscriptionFailed { position, .. } if position.get() == poison),
        "{error:?}"
    );
    assert_eq!((mirror.written().await, cursor(&store).await), (source[..6].to_vec(), source[5]));

    let panicking = async |_: Batch<RecordedEvent>| panic!("it cannot go on");
    mirror.run(subscription(&store), panicking).failed().await;
    assert_eq!((mirror.written().await, cursor(&store).await), (source[..6].to_vec(), source[5]));
    assert!(matches!(status(&store).await.state, SubscriptionState::Failed(_)));
    let run = mirror.run(subscription(&store), async |_| Ok(()));
    until_cursor(&store, source[9]).await;
    run.stop().await;
    assert_eq!(mirror.written().await, source);
}

pub(super) async fn over_errors_and_restarts_all_is_written_once<H: Harness<Engine: TransactionalEngine>>(
    harness: H,
) {
    let stores = open_two(&harness).await;
    let mirror = Mirror::<H::Engine>::new(&stores[0]).await;
    let id = stored_account(&stores[0], "ada", 20).await;
    let calls = Arc::new(AtomicU32::new(0));
    // Errors after the write, and once in a while it stands still until its run is dropped.
    for round in 0..8 {
        deposit_once(&stores[0], id).await.unwrap();
        // Not while a handler stands still: what it has written in its transaction holds up readers of the log.
        let last = *accounts(&stores[0]).await.last().unwrap();
        let store = &stores[round % 2];
        let (gate, calls) = (Gate::shut(), Arc::clone(&calls));
        let handler = {
            let gate = gate.clone();
            move |_| {
                let (gate, call) = (gate.clone(), calls.fetch_add(1, Ordering::Relaxed));
                async move {
                    if call % 4 == 3 {
                        gate.pass().await;
                    }
                    if call % 4 == 1 { Err("not yet".into()) } else { Ok(()) }
                }
            }
        };
        let subscription = subscription(store).owner("me").batch_size(2).retry(quick_retry(1_000));
        let run = mirror.through(store).run(subscription, handler);
        tokio::select! {
            () = gate.reached() => {}
            () = until_cursor(store, last) => {}
        }
        run.crash().await;
    }
    let source = accounts(&stores[0]).await;
    let rest = subscription(&stores[0]).owner("me");
    let run = mirror.run(rest, async |_| Ok(()));
    until_cursor(&stores[0], *source.last().unwrap()).await;
    run.stop().await;
    assert_eq!(mirror.written().await, source);
}

pub(super) async fn a_former_owner_writes_nothing<H: Harness<Engine: TransactionalEngine>>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let mirror = Mirror::<H::Engine>::new(&store).await;
    let id = stored_account(&store, "ada", 0).await;
    let run = mirror.run(subscription(&store), async |_| Ok(()));
    let source = accounts(&store).await;
    until_cursor(&store, source[0]).await;
    // It does not hear of this before its next checkpoint.
    other.reset_subscription(NAME, StartFrom::End).await.unwrap();
    let before = cursor(&store).await;
    deposit_once(&store, id).await.unwrap();
    let (_, error) = run.failed().await;
    assert!(matches!(error, Error::Fenced { reason: Fenced::Changed, .. }), "{error:?}");
    assert_eq!((mirror.written().await, cursor(&store).await), (source, before));
}

pub(super) async fn one_paused_in_its_transaction_writes_all_or_nothing<
    H: Harness<Engine: TransactionalEngine>,
>(
    harness: H,
) {
    let [store, other] = open_two(&harness).await;
    let mirror = Mirror::<H::Engine>::new(&store).await;
    stored_account(&store, "ada", 5).await;
    let gate = Gate::shut();
    let blocked = gate.clone();
    // Where it is paused after its transaction, it shall hear of that by itself.
    let lease = if H::Engine::BLOCKS_WRITERS { SHORT_LEASE } else { LEASE };
    let run = mirror.run(subscription(&store).lease(lease), move |_| {
        let gate = blocked.clone();
        async move {
            gate.pass().await;
            Ok(())
        }
    });
    gate.reached().await;
    let mut pause = tokio::spawn(async move { other.pause_subscription(NAME).await.unwrap() });
    if !H::Engine::BLOCKS_WRITERS {
        (&mut pause).await.unwrap();
    }
    gate.open();
    let (_, error) = run.failed().await;
    assert!(matches!(error, Error::Fenced { reason: Fenced::Paused, .. }), "{error:?}");
    if H::Engine::BLOCKS_WRITERS {
        pause.await.unwrap();
    }
    let (written, source) = (mirror.written().await, accounts(&store).await);
    match cursor(&store).await {
        0 => assert_eq!(written, NOTHING),
        cursor => assert_eq!((written, cursor), (source.clone(), *source.last().unwrap())),
    }
    assert_eq!(cursor(&store).await == 0, !H::Engine::BLOCKS_WRITERS, "who comes first");
}

pub(super) async fn a_commit_that_would_wait_for_itself_is_refused<
    H: Harness<Engine: TransactionalEngine>,
>(
    harness: H,
) {
    let store = open(&harness).await;
    let mirror = Mirror::<H::Engine>::new(&store).await;
    let id = stored_account(&store, "ada", 0).await;
    let other = stored_account(&store, "eve", 0).await;
    let answers = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let (store, answers) = (store.clone(), Arc::clone(&answers));
        move |batch: Batch<RecordedEvent>| {
            let (store, answers) = (store.clone(), Arc::clone(&answers));
            async move {
                let source = batch.first().map(RecordedEvent::aggregate_id);
                if source == Some(id.untyped()) {
                    let answer = deposit_once(&store, other).await;
                    answers.lock().unwrap().push(answer);
                }
                Ok(())
            }
        }
    };
    let run = mirror.run(subscription(&store).batch_size(1), handler);
    until_cursor(&store, accounts(&store).await[1]).await;
    run.stop().await;
    let answers = std::mem::take(&mut *answers.lock().unwrap());
    assert_eq!(answers.len(), 1);
    match &answers[0] {
        Err(Error::WaitsForItself { .. }) => assert!(H::Engine::BLOCKS_WRITERS),
        Ok(()) => assert!(!H::Engine::BLOCKS_WRITERS),
        Err(other) => panic!("{other:?}"),
    }
    assert_eq!(mirror.written().await, accounts(&store).await[..mirror.written().await.len()]);
}
