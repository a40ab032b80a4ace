//! Writers that commit late, roll back and come in bulk, and readers beside them, for runs that no other place makes.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use evercore::{
    Position,
    engine::{EventFilter, LogRead, StorageEngine, StoredEvent, TransactionalEngine},
};
use evercore_postgres::PostgresEngine;
use sqlx::{Connection as _, PgConnection};

use crate::fixtures::{Place, Types, append, new_id};

/// Commits until the time is up: half of them at once, half in transactions that do other things between drawing a
/// position and their end. Some of these are rolled back, and some have begun long before.
pub(crate) async fn write(engine: Arc<PostgresEngine>, types: Types, seed: u64, until: Instant) {
    let mut random = fastrand::Rng::with_seed(seed);
    let id = new_id(&engine).await;
    let mut version = 0;
    while Instant::now() < until {
        let count = if random.u8(..100) < 5 { 200 } else { random.i64(1..4) };
        let changes = append(types, id, version, count);
        if random.bool() {
            engine.commit(&changes).await.expect("a commit");
            version += count;
            continue;
        }
        let mut transaction = engine.begin().await.expect("a transaction");
        if random.u8(..100) < 30 {
            sqlx::query("SELECT pg_current_xact_id()").execute(&mut *transaction).await.expect("a number");
            do_something_else(&mut transaction, random.u8(..10)).await;
        }
        engine.commit_in(&changes, &mut transaction).await.expect("it is written");
        do_something_else(&mut transaction, random.u8(..20)).await;
        if random.u8(..100) < 10 {
            transaction.rollback().await.expect("a rollback");
        } else {
            engine.finish(transaction).await.expect("a commit");
            version += count;
        }
    }
}

/// Keeps a transaction open.
async fn do_something_else(transaction: &mut PgConnection, statements: u8) {
    for _ in 0..statements {
        sqlx::query("SELECT 1").execute(&mut *transaction).await.expect("an answer");
    }
}

/// Reads pages of random sizes until the head that is there when the writers have ended.
pub(crate) async fn read(
    engine: Arc<PostgresEngine>,
    filter: EventFilter,
    seed: u64,
    ended: Arc<AtomicBool>,
) -> Vec<StoredEvent> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut events, mut after) = (Vec::new(), Position::START);
    loop {
        let last_round = ended.load(Ordering::SeqCst);
        let head = engine.head().await.expect("the head");
        while after < head {
            let limit = *random.choice(&[1, 3, 10, 100, 1_000]).expect("one of them");
            let page =
                engine.read_log(&LogRead { filter: filter.clone(), after, limit }).await.expect("a page");
            assert!(page.end >= after, "the cursor only grows");
            after = page.end;
            events.extend(page.events);
        }
        if last_round {
            return events;
        }
    }
}

/// How many events a reader gets that trusts positions.
pub(crate) async fn read_naively(url: String, ended: Arc<AtomicBool>) -> usize {
    let mut session = PgConnection::connect(&url).await.expect("a session");
    let (mut count, mut after) = (0, 0_i64);
    loop {
        let last_round = ended.load(Ordering::SeqCst);
        let statement = "SELECT position FROM evercore.events WHERE position > $1 ORDER BY position";
        let seen: Vec<i64> =
            sqlx::query_scalar(statement).bind(after).fetch_all(&mut session).await.expect("positions");
        count += seen.len();
        after = seen.last().copied().unwrap_or(after);
        if last_round && seen.is_empty() {
            return count;
        }
    }
}

/// The positions of all events that are there.
pub(crate) async fn stored(place: &Place) -> Vec<i64> {
    sqlx::query_scalar("SELECT position FROM evercore.events ORDER BY position")
        .fetch_all(&mut place.session().await)
        .await
        .expect("positions")
}

/// A reader got every event once, and in order.
pub(crate) fn is_complete(events: &[StoredEvent], stored: &[i64]) {
    let positions: Vec<_> = events.iter().map(|event| event.position.get()).collect();
    assert!(positions.is_sorted_by(|one, next| one < next), "nothing twice, nothing in another order");
    assert_eq!(positions.len(), stored.len(), "nothing is missing");
    assert_eq!(positions, stored);
    let mut versions = HashMap::new();
    for event in events {
        let version = versions.entry(event.aggregate_id).or_insert(0);
        assert_eq!(event.sequence.get(), *version + 1, "the events of an aggregate come in order");
        *version += 1;
    }
}
