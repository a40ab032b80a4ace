//! Many subscriptions beside many writers: nothing is lost, and everything comes in order.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    Harness,
    runs::{NOTHING, Run, SOON, log, positions, subscription},
    samples::{Account, Deposited, all, deposit, open, open_two, stored_account},
    subscribers::{LEASE, NAME},
};
use crate::{AggregateId, EventStore, Position, RecordedEvent, Result, RetryPolicy, StartFrom, Subscription};

const WRITERS: usize = 6;
const COMMITS: usize = 20;

/// Writers on two stores that contend for some of their accounts.
fn writers(stores: &[EventStore; 2], ids: &[AggregateId<Account>]) -> Vec<JoinHandle<()>> {
    let writers = (0..WRITERS).map(|writer| {
        let (store, ids) = (stores[writer % 2].clone(), ids.to_vec());
        tokio::spawn(async move {
            for round in 0..COMMITS {
                let pair = [ids[writer % ids.len()], ids[(writer + round) % ids.len()]];
                deposit_to(&store, &pair, round % 3 + 1).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    writers.collect()
}

/// Deposits so often in each account, in one commit.
async fn deposit_to(store: &EventStore, ids: &[AggregateId<Account>], times: usize) -> Result<Position> {
    let unit = store.unit().retry(RetryPolicy::default().with_attempts(1_000));
    let committed = unit.run(async |ctx| {
        for id in ids {
            let mut account = ctx.load(*id).await?;
            (0..times).try_for_each(|_| ctx.apply(&mut account, deposit()))?;
        }
        Ok(())
    });
    Ok(committed.await?.1.last_position().unwrap())
}

/// Runs a subscription again and again, each run for so many events, until it has come to the end of the log.
async fn restarted(
    runs: impl Fn() -> Subscription,
    is_crashing: bool,
    mut is_last: oneshot::Receiver<i64>,
) -> Vec<Vec<i64>> {
    let mut handled: Vec<Vec<i64>> = Vec::new();
    let mut last = None;
    while last.is_none() || last > handled.iter().flatten().copied().max() {
        let mut run = Run::of(runs());
        let mut positions = Vec::new();
        while positions.len() < 7 && (last.is_none() || positions.last().copied() < last) {
            tokio::select! {
                position = run.next() => positions.push(position),
                known = &mut is_last, if last.is_none() => {
                    last = Some(known.unwrap());
                    // It may be handled already.
                    break;
                }
            }
        }
        positions.extend(if is_crashing { run.crash().await } else { run.stop().await });
        handled.push(positions);
    }
    handled
}

pub(super) async fn beside_writers_and_over_restarts_nothing_is_lost<H: Harness>(harness: H) {
    let stores = open_two(&harness).await;
    let mut ids = Vec::new();
    for key in ["ada", "eve", "ida", "amy"] {
        ids.push(stored_account(&stores[0], key, 0).await);
    }
    let followed = ids[1];
    let filters: [fn(Subscription, AggregateId<Account>) -> Subscription; 3] =
        [|all, _| all, |all, id| all.id(id), |all, _| all.event::<Deposited>()];
    let mut followers = Vec::new();
    for (number, filter) in filters.into_iter().enumerate() {
        for is_crashing in [false, true] {
            let (tell, last) = oneshot::channel();
            let store = stores[number % 2].clone();
            // With a name of its own it gets its lease back at once.
            let name = format!("{NAME} {number} {is_crashing}");
            let run = move || {
                let subscription = store.subscription(&name).owner("me").lease(LEASE).batch_size(3);
                filter(subscription, followed)
            };
            let task = tokio::spawn(restarted(run, is_crashing, last));
            followers.push((number, is_crashing, tell, task));
        }
    }
    let from_the_start = |store: &EventStore| {
        Run::ephemeral(store.ephemeral_subscription().start(StartFrom::Beginning).batch_size(10))
    };
    let ephemeral = [from_the_start(&stores[0]), from_the_start(&stores[1])];
    all(writers(&stores, &ids)).await;

    let log = log(&stores[0]).await;
    assert_contiguous(&log);
    let expected = [
        positions(&log),
        positions(log.iter().filter(|event| event.aggregate_id() == followed.untyped())),
        positions(log.iter().filter(|event| event.event_type() == "Deposited")),
    ];
    for mut run in ephemeral {
        assert_eq!(run.take(log.len()).await, expected[0]);
        assert_eq!(run.stop().await, NOTHING);
    }
    for (number, is_crashing, tell, task) in followers {
        let expected = &expected[number];
        tell.send(*expected.last().unwrap()).unwrap();
        let handled = task.await.unwrap();
        assert!(handled.len() > 1, "there were restarts");
        match is_crashing {
            false => assert_eq!(handled.concat(), *expected),
            true => assert_at_least_once(&handled, expected),
        }
    }
}

/// Each run goes on in order from what was handled before, or from before that.
fn assert_at_least_once(runs: &[Vec<i64>], expected: &[i64]) {
    let mut reached = 0;
    for run in runs {
        let Some(first) = run.first() else { continue };
        let from = expected.iter().position(|position| position == first).unwrap();
        assert!(from <= reached, "{first} came too early: {runs:?}");
        assert_eq!(*run, expected[from..from + run.len()]);
        reached = reached.max(from + run.len());
    }
    assert_eq!(reached, expected.len());
}

/// In the log the events of each aggregate stand in their order.
fn assert_contiguous(log: &[RecordedEvent]) {
    let mut sequences = HashMap::new();
    for event in log {
        let last = sequences.entry(event.aggregate_id()).or_insert(0);
        assert_eq!(event.sequence().get(), *last + 1, "{event:?}");
        *last += 1;
    }
}

pub(super) async fn after_it_is_ready_no_commit_is_missed<H: Harness>(harness: H) {
    let stores = open_two(&harness).await;
    let mut ids = Vec::new();
    for number in 0..16 {
        ids.push(stored_account(&stores[0], &format!("account {number}"), 0).await);
    }
    let is_ready = Arc::new(AtomicBool::new(false));
    let committers = ids.iter().enumerate().map(|(number, id)| {
        let (store, id, is_ready) = (stores[number % 2].clone(), *id, Arc::clone(&is_ready));
        tokio::spawn(async move {
            let mut after_ready = Vec::new();
            // Some before, some while it gets ready, and some after it.
            while after_ready.len() < 5 {
                let begins_after = is_ready.load(Ordering::SeqCst);
                let position = deposit_to(&store, &[id], 1).await.unwrap();
                if begins_after {
                    after_ready.push(position.get());
                }
                // An engine in memory never waits, and would let nobody else run.
                tokio::task::yield_now().await;
            }
            after_ready
        })
    });
    let committers: Vec<_> = committers.collect();
    let (tell, ready) = oneshot::channel();
    let ephemeral = stores[0].ephemeral_subscription().on_ready(move |position| {
        is_ready.store(true, Ordering::SeqCst);
        let _ = tell.send(position.get());
    });
    let mut run = Run::ephemeral(ephemeral);
    let ready = ready.await.unwrap();
    let committed: HashSet<_> = all(committers).await.into_iter().flatten().collect();

    let log = positions(&log(&stores[0]).await);
    let expected: Vec<_> = log.into_iter().filter(|position| *position > ready).collect();
    let delivered = run.take(expected.len()).await;
    assert_eq!(delivered, expected, "all that comes after the position, once");
    let delivered = delivered.into_iter().collect();
    assert!(committed.is_subset(&delivered), "all that was begun after it was ready");
    assert_eq!(run.stop().await, NOTHING);
}

pub(super) async fn one_that_is_slow_holds_back_nobody<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let gate = super::runs::Gate::shut();
    let blocked = gate.clone();
    let slow = Run::by(subscription(&store).batch_size(1), move |_| {
        let gate = blocked.clone();
        async move {
            gate.pass().await;
            Ok(())
        }
    });
    gate.reached().await;
    let quick = Run::of(store.subscription("quick").lease(LEASE));
    for _ in 0..30 {
        deposit_to(&store, &[id], 1).await.unwrap();
    }
    store.wait_until_caught_up("quick", SOON).await.unwrap();
    let log = positions(&log(&store).await);
    assert_eq!(quick.stop().await, log);
    gate.open();
    store.wait_until_caught_up(NAME, SOON).await.unwrap();
    assert_eq!(slow.stop().await, log);
}
