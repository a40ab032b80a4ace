//! Exactly once, where the cursor moves in the handler's transaction.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use evercore::{
    Batch, Error, OnFailure, Position, RecordedEvent, Subscription,
    engine::{EngineErrorKind, SubscriptionChange, SubscriptionEngine as _},
};
use evercore_memory::MemoryEngine;

use super::{
    faulty::{Fault, FaultyEngine, LOST, Op, Transaction},
    support::{LONG, Runner, deposit, durable, open, positions, quick, soon, status},
};

/// Writes the positions as rows; at each position that is given, it fails the first time, after it has written.
fn run(
    subscription: Subscription,
    fails_at: &'static [i64],
) -> (tokio::task::JoinHandle<evercore::Result<()>>, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let mut left = fails_at.to_vec();
    let run = subscription.run_transactional::<FaultyEngine, _, _>(
        move |batch: Batch<RecordedEvent>, mut transaction: Transaction| {
            count.fetch_add(1, Ordering::SeqCst);
            transaction.rows.extend(positions(&batch));
            let fails = left.iter().position(|position| transaction.rows.contains(position));
            let failure = fails.map(|index| left.remove(index));
            async move {
                match failure {
                    Some(position) => Err(format!("not now: {position}").into()),
                    None => Ok(transaction),
                }
            }
        },
    );
    (tokio::spawn(run), calls)
}

#[tokio::test]
async fn each_event_is_written_once_whatever_is_lost() {
    let all: Vec<_> = (1..=10).collect();
    let scripts: [&[(Op, Fault)]; 8] = [
        &[],
        &[(Op::Finish, LOST)],
        &[(Op::Finish, Fault::AnswerLost)],
        // The outcome cannot be found out at first.
        &[(Op::Finish, Fault::AnswerLost), (Op::List, LOST), (Op::List, LOST)],
        &[(Op::Finish, Fault::AnswerLost), (Op::List, LOST), (Op::Begin, LOST), (Op::Finish, LOST)],
        &[(Op::Begin, LOST), (Op::Begin, Fault::Fails(EngineErrorKind::Busy))],
        &[(Op::Finish, Fault::AnswerLost), (Op::Finish, Fault::AnswerLost), (Op::List, LOST)],
        &[(Op::Finish, Fault::Fails(EngineErrorKind::Other))],
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        for fails_at in [&[][..], &[1], &[1, 1], &[4], &[3, 4, 9]] {
            let engine = FaultyEngine::new();
            let store = open(engine.clone()).await;
            deposit(&store, 10).await;
            // The first look is that of the start.
            engine.disturb(Op::List, []);
            let (task, _) = run(durable(&store).batch_size(3).retry(quick(5)), fails_at);
            for (op, fault) in script {
                engine.disturb(*op, [fault.clone()]);
            }
            let other = open(engine.reopen()).await;
            soon(other.wait_for("s", Position::new(10), LONG)).await.unwrap();
            assert_eq!(engine.rows(), all, "script {number}, fails at {fails_at:?}");
            assert!(!task.is_finished());
            task.abort();
        }
    }
}

#[tokio::test]
async fn a_handler_that_fails_after_a_commit_in_doubt_is_not_asked_again() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let other = open(engine.reopen()).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let faulty = engine.clone();
    let task = tokio::spawn(durable(&store).retry(quick(5)).run_transactional::<FaultyEngine, _, _>(
        move |batch, mut transaction: Transaction| {
            transaction.rows.extend(positions(&batch));
            let call = count.fetch_add(1, Ordering::SeqCst);
            if call == 0 {
                // It is committed, and nobody hears of it.
                faulty.disturb(Op::Finish, [Fault::AnswerLost]);
                faulty.disturb(Op::List, [LOST]);
            }
            async move { if call == 1 { Err("it is there already".into()) } else { Ok(transaction) } }
        },
    ));
    deposit(&other, 3).await;
    soon(other.wait_for("s", Position::new(3), LONG)).await.unwrap();
    deposit(&other, 1).await;
    soon(other.wait_for("s", Position::new(4), LONG)).await.unwrap();
    assert_eq!(engine.rows(), [1, 2, 3, 4]);
    assert!(!task.is_finished());
    task.abort();
}

#[tokio::test]
async fn one_poison_event_is_skipped_with_the_cursor() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 10).await;
    let poison = &[4; 100];
    let (task, calls) = run(durable(&store).retry(quick(2)).on_failure(OnFailure::Skip), poison);
    soon(store.wait_for("s", Position::new(10), LONG)).await.unwrap();
    assert_eq!(engine.rows(), [1, 2, 3, 5, 6, 7, 8, 9, 10]);
    assert_eq!(calls.load(Ordering::SeqCst), 2 + 3 + 2 + 6);
    let failed = store.failed_deliveries("s", Position::START, 10).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].position.get(), failed[0].error.as_str()), (4, "not now: 4"));
    task.abort();
}

#[tokio::test]
async fn a_transaction_of_an_owner_that_was_replaced_is_not_committed() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let other = open(engine.reopen()).await;
    deposit(&store, 3).await;
    let gate = super::faulty::Gate::new();
    let inside = gate.clone();
    let task = tokio::spawn(durable(&store).run_transactional::<FaultyEngine, _, _>(
        move |batch, mut transaction: Transaction| {
            transaction.rows.extend(positions(&batch));
            let inside = inside.clone();
            async move {
                inside.pass().await;
                Ok(transaction)
            }
        },
    ));
    soon(gate.reached()).await;
    other.reset_subscription("s", evercore::StartFrom::End).await.unwrap();
    gate.open();
    let ended = soon(task).await.unwrap();
    assert!(matches!(ended, Err(Error::Fenced { .. })), "{ended:?}");
    assert!(engine.rows().is_empty());
    assert_eq!(status(&store, "s").await.cursor.get(), 3);
}

#[tokio::test]
async fn another_engine_is_refused_before_anything_is_claimed() {
    let store = open(MemoryEngine::new()).await;
    let (task, _) = run(durable(&store), &[]);
    assert!(matches!(soon(task).await.unwrap(), Err(Error::WrongEngine { .. })));
    assert!(store.subscriptions().await.unwrap().is_empty());
}

/// As after a crash of a database that does not wait for the disk: what was written is lost, and the cursor with it.
async fn go_back(engine: &FaultyEngine) {
    engine.lose_rows();
    let stored = engine.subscriptions(Some("s")).await.unwrap().subscriptions.remove(0);
    let back = SubscriptionChange::Reset { cursor: Position::START, filter: None };
    engine.change_subscription("s", &back, Some(stored.token)).await.unwrap();
}

#[tokio::test]
async fn what_was_lost_with_the_cursor_is_written_again() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 3).await;
    let (task, _) = run(durable(&store), &[]);
    soon(store.wait_for("s", Position::new(3), LONG)).await.unwrap();
    go_back(&engine).await;
    deposit(&store, 1).await;
    soon(store.wait_for("s", Position::new(4), LONG)).await.unwrap();
    assert_eq!(engine.rows(), [1, 2, 3, 4]);
    task.abort();
}

#[tokio::test]
async fn without_a_transaction_a_cursor_that_went_back_moves_on() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 3).await;
    let mut runner = Runner::of(durable(&store));
    assert_eq!(runner.next().await, [1, 2, 3]);
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    go_back(&engine).await;
    deposit(&store, 1).await;
    assert_eq!(runner.next().await, [4]);
    soon(store.wait_for("s", Position::new(4), LONG)).await.unwrap();
    assert!(runner.stop().await.is_empty());
}
