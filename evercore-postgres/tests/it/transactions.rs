//! Events in transactions of the application, beside its own tables.

use evercore::{
    Aggregate, Apply, Error, EventStore, Sequence,
    engine::{CommitError, EngineErrorKind, StorageEngine, TransactionalEngine},
    event,
};
use evercore_postgres::{PostgresEngine, commit_in};
use serde::{Deserialize, Serialize};

use crate::fixtures::{Place, TestResult, append, create, define, load, log, new_id};

async fn with_orders_table(engine: &PostgresEngine) -> Result<(), sqlx::Error> {
    sqlx::query("CREATE TABLE orders (number bigint)").execute(engine.pool()).await.map(drop)
}

async fn orders(engine: &PostgresEngine) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(engine.pool()).await
}

#[tokio::test]
async fn events_and_rows_share_their_fate() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
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
    bell.rung().await;
    Ok(())
}

#[tokio::test]
async fn refusals_are_the_same_as_elsewhere() -> TestResult {
    let place = Place::new().await;
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

#[tokio::test]
async fn a_transaction_that_sees_a_single_moment_gets_a_conflict() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    engine.commit(&append(types, id, 0, 1)).await.expect("a commit");
    let mut transaction = engine.pool().begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    sqlx::query("SELECT FROM evercore.aggregates").execute(&mut *transaction).await?;
    engine.commit(&append(types, id, 1, 1)).await.expect("a commit");
    let late = engine.commit_in(&append(types, id, 1, 1), &mut transaction).await;
    assert!(
        matches!(late, Err(CommitError::Conflict { aggregate, actual: None }) if aggregate == id),
        "{late:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_transaction_of_another_store_is_refused() -> TestResult {
    let (place, elsewhere) = (Place::new().await, Place::new().await);
    let (engine, other) = (place.engine().await, elsewhere.engine().await);
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut transaction = other.begin().await?;
    let refused = engine.commit_in(&append(types, id, 0, 1), &mut transaction).await;
    let Err(CommitError::Engine(error)) = refused else { panic!("it is refused: {refused:?}") };
    assert_eq!(error.kind(), EngineErrorKind::Unsupported);
    transaction.rollback().await?;
    assert_eq!(log(&other).await, []);
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
    let place = Place::new().await;
    let store = EventStore::open::<Domain>(place.engine().await).await?;
    let engine = store.engine::<PostgresEngine>().ok_or("it runs on PostgreSQL")?;
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

#[tokio::test]
async fn a_transaction_that_failed_does_not_end_as_if_it_had_committed() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut transaction = engine.begin().await?;
    engine.commit_in(&append(types, id, 0, 1), &mut transaction).await.expect("it is written");
    sqlx::query("SELECT 1 / 0").execute(&mut *transaction).await.expect_err("it fails");
    // The server answers such a COMMIT with a rollback, and with no error.
    let error = engine.finish(transaction).await.expect_err("nothing is committed");
    assert!(!error.is_temporary(), "{error:?}");
    assert_eq!(load(&engine, id).await, None);

    let mut next = engine.begin().await?;
    engine.commit_in(&append(types, id, 0, 1), &mut next).await.expect("the connection is of use");
    engine.finish(next).await?;
    Ok(())
}

#[tokio::test]
async fn a_transaction_whose_begin_is_given_up_swallows_nothing() -> TestResult {
    let place = Place::new().await;
    let one = std::num::NonZero::new(1).ok_or("it is not zero")?;
    let engine = PostgresEngine::builder().url(&place.url()).pool_size(one).connect().await?;
    with_orders_table(&engine).await?;
    for polls in 1..6 {
        let mut beginning = Box::pin(engine.begin());
        for _ in 0..polls {
            let once =
                std::future::poll_fn(|cx| std::task::Poll::Ready(beginning.as_mut().poll(cx).is_ready()));
            if once.await {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(beginning);
        sqlx::query("INSERT INTO orders VALUES (7)").execute(engine.pool()).await?;
        let seen: i64 =
            sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(&mut place.session().await).await?;
        assert_eq!(seen, polls, "the row of the application is there for all");
    }
    Ok(())
}
