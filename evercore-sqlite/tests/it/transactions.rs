//! Events in transactions of the application, beside its own tables.

use std::{sync::Arc, time::Duration};

use evercore::{
    Aggregate, Apply, Error, EventStore, Position, Sequence,
    engine::{CommitError, EngineErrorKind, EventFilter, StorageEngine, TransactionalEngine},
    event,
};
use evercore_sqlite::{SqliteEngine, commit_in};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::fixtures::{Place, TestResult, append, create, define, load, log, new_id};

async fn with_orders_table(engine: &SqliteEngine) -> Result<(), sqlx::Error> {
    sqlx::query("CREATE TABLE orders (number INTEGER)").execute(engine.pool()).await.map(drop)
}

async fn orders(engine: &SqliteEngine) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(engine.pool()).await
}

async fn events_and_rows_share_their_fate(engine: SqliteEngine) -> TestResult {
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    with_orders_table(&engine).await?;
    let mut bell = engine.watch();
    for commit in [false, true] {
        let mut transaction = engine.begin().await?;
        sqlx::query("INSERT INTO orders VALUES (7)").execute(&mut *transaction).await?;
        engine.commit_in(&append(types, id, 0, 3), &mut transaction).await.expect("written");
        match commit {
            true => engine.finish(transaction).await?,
            false => transaction.rollback().await?,
        }
        let version = load(&engine, id).await.map(|loaded| loaded.version);
        assert_eq!(version, commit.then_some(Sequence::new(3)));
        assert_eq!(orders(&engine).await?, i64::from(commit));
    }
    tokio::time::timeout(Duration::from_secs(10), bell.rung()).await?;
    Ok(())
}

#[tokio::test]
async fn events_and_rows_share_their_fate_in_a_file() -> TestResult {
    events_and_rows_share_their_fate(Place::new().engine().await).await
}

#[tokio::test]
async fn events_and_rows_share_their_fate_in_memory() -> TestResult {
    events_and_rows_share_their_fate(SqliteEngine::builder().connect().await?).await
}

#[tokio::test]
async fn refusals_are_the_same_as_elsewhere() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let (first, second) = (new_id(&engine).await, new_id(&engine).await);
    engine.commit(&create(types, first, "a")).await.expect("a commit");

    let mut transaction = engine.begin().await?;
    let taken = engine.commit_in(&create(types, second, "a"), &mut transaction).await;
    assert!(matches!(taken, Err(CommitError::DuplicateKey(id)) if id == second), "{taken:?}");
    transaction.rollback().await?;

    let mut transaction = engine.begin().await?;
    let stale = engine.commit_in(&append(types, first, 5, 1), &mut transaction).await;
    assert!(
        matches!(stale, Err(CommitError::Conflict { actual: Some(actual), .. }) if actual == Sequence::new(1))
    );
    transaction.rollback().await?;

    let mut transaction = engine.begin().await?;
    let unknown = engine.commit_in(&append(types, second, 5, 1), &mut transaction).await;
    assert!(matches!(unknown, Err(CommitError::UnknownAggregate(id)) if id == second));
    transaction.rollback().await?;
    Ok(())
}

// PostgreSQL would refuse to commit; here the caller is able to.
#[tokio::test]
async fn a_refused_commit_leaves_nothing_even_in_a_transaction_that_goes_on() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    with_orders_table(&engine).await?;
    let types = define(&engine).await;
    let (first, second) = (new_id(&engine).await, new_id(&engine).await);
    engine.commit(&create(types, first, "a")).await.expect("a commit");

    let mut changes = append(types, first, 1, 1);
    let stale = append(types, second, 5, 1);
    changes.aggregates.extend(stale.aggregates);
    changes.events.extend(stale.events);
    let mut transaction = engine.begin().await?;
    sqlx::query("INSERT INTO orders VALUES (7)").execute(&mut *transaction).await?;
    let refused = engine.commit_in(&changes, &mut transaction).await;
    assert!(matches!(refused, Err(CommitError::UnknownAggregate(id)) if id == second), "{refused:?}");
    engine.finish(transaction).await?;

    assert_eq!(orders(&engine).await?, 1);
    let loaded = load(&engine, first).await.expect("it exists");
    assert_eq!((loaded.version, loaded.events.len()), (Sequence::new(1), 1));
    Ok(())
}

#[tokio::test]
async fn both_drivers_write_the_same_rows() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let (direct, within) = (new_id(&engine).await, new_id(&engine).await);
    engine.commit(&append(types, direct, 0, 2)).await.expect("a commit");
    let mut transaction = engine.begin().await?;
    engine.commit_in(&append(types, within, 0, 2), &mut transaction).await.expect("written");
    engine.finish(transaction).await?;

    let shell = place.shell();
    let mut statement = shell.prepare(
        "SELECT event_type_id, sequence, time, reference, metadata, codec, typeof(payload), payload
         FROM evercore_events WHERE aggregate_id = ?1 ORDER BY sequence",
    )?;
    let mut rows = |id: i64| -> rusqlite::Result<Vec<Vec<rusqlite::types::Value>>> {
        statement.query_map([id], |row| (0..8).map(|column| row.get(column)).collect())?.collect()
    };
    assert_eq!(rows(direct.get())?, rows(within.get())?);
    Ok(())
}

#[tokio::test]
async fn a_transaction_of_another_database_is_refused() -> TestResult {
    let (place, elsewhere) = (Place::new(), Place::new());
    let in_memory = async || SqliteEngine::builder().connect().await;
    for (engine, other) in [
        (place.engine().await, elsewhere.engine().await),
        (in_memory().await?, in_memory().await?),
        (in_memory().await?, place.engine().await),
    ] {
        let types = define(&engine).await;
        define(&other).await;
        let id = new_id(&engine).await;
        let mut transaction = other.begin().await?;
        let refused = engine.commit_in(&append(types, id, 0, 1), &mut transaction).await;
        let Err(CommitError::Engine(error)) = refused else { panic!("it is refused: {refused:?}") };
        assert_eq!(error.kind(), EngineErrorKind::Unsupported);
        other.finish(transaction).await?;
        assert_eq!(other.head().await?, Position::START);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_and_commits_take_turns() -> TestResult {
    let place = Place::new();
    for engine in [place.engine().await, SqliteEngine::builder().connect().await?] {
        let engine = Arc::new(engine);
        let types = define(&engine).await;
        let mut writers = JoinSet::new();
        for writer in 0..6 {
            let engine = Arc::clone(&engine);
            writers.spawn(async move {
                for _ in 0..20 {
                    let id = new_id(&engine).await;
                    let changes = append(types, id, 0, 2);
                    if writer % 2 == 0 {
                        engine.commit(&changes).await.expect("a commit");
                    } else {
                        let mut transaction = engine.begin().await.expect("a transaction");
                        engine.commit_in(&changes, &mut transaction).await.expect("written");
                        engine.finish(transaction).await.expect("a commit");
                    }
                    assert_eq!(load(&engine, id).await.expect("it exists").events.len(), 2);
                }
            });
        }
        writers.join_all().await;
        assert_eq!(log(&engine, EventFilter::default()).await.len(), 6 * 20 * 2);
    }
    Ok(())
}

#[derive(Debug, Default, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(events(OrderPlaced))]
struct Order {
    number: i64,
}

#[event]
struct OrderPlaced {
    number: i64,
}

impl Apply<OrderPlaced> for Order {
    fn apply(&mut self, event: &OrderPlaced) {
        self.number = event.number;
    }
}

evercore::registry!(Domain { Order });

#[tokio::test]
async fn a_unit_of_work_is_written_in_a_transaction() -> TestResult {
    let place = Place::new();
    let store = EventStore::open::<Domain>(place.engine().await).await?;
    let engine = store.engine::<SqliteEngine>().ok_or("it runs on SQLite")?;
    with_orders_table(engine).await?;
    for commit in [false, true] {
        let ctx = store.begin();
        let mut order = ctx.create_with_key::<Order>("order-7").await?;
        ctx.apply(&mut order, OrderPlaced { number: 7 })?;

        let mut transaction = engine.begin().await?;
        sqlx::query("INSERT INTO orders VALUES (7)").execute(&mut *transaction).await?;
        let receipt = commit_in(&ctx, &mut transaction).await?;
        assert_eq!(receipt.aggregates().len(), 1);
        match commit {
            true => engine.finish(transaction).await?,
            false => transaction.rollback().await?,
        }
        assert!(matches!(ctx.commit().await, Err(Error::ContextClosed)));
        let found = store.load_by_key::<Order>("order-7").await;
        assert_eq!(found.map(|order| order.number).ok(), commit.then_some(7));
        assert_eq!(orders(engine).await?, i64::from(commit));
    }
    Ok(())
}
