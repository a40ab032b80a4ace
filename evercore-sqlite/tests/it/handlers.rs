//! Subscriptions whose handlers write to the same database.

use std::{sync::Mutex, time::Duration};

use evercore::{
    Aggregate, Batch, Context, Decoded, Error, EventStore, HandlerError, LogFilter, Position, Result,
    RetryPolicy, Subscription, Typed, state_event,
};
use evercore_sqlite::{SqliteEngine, commit_in};
use sqlx::{Sqlite, Transaction, sqlite::SqlitePoolOptions};

use crate::fixtures::{Place, TestResult};

const NAME: &str = "handlers";
const ORDERS: i64 = 7;

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Placed), snapshot = off)]
struct Order {
    number: i64,
}

#[state_event(Order)]
struct Placed {
    number: i64,
}

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Billed), snapshot = off)]
struct Invoice {
    order: i64,
}

#[state_event(Invoice)]
struct Billed {
    order: i64,
}

evercore::registry!(Domain { Order, Invoice });

type Orders = Batch<Decoded<OrderEvent>>;

/// A store with orders, and a table of the application.
async fn store_on(engine: SqliteEngine) -> EventStore {
    sqlx::query("CREATE TABLE orders (number INTEGER)").execute(engine.pool()).await.expect("a table");
    let store = EventStore::open::<Domain>(engine).await.expect("the store opens");
    let place = async |ctx: Context| {
        for number in 1..=ORDERS {
            let mut order = ctx.create::<Order>().await?;
            ctx.apply(&mut order, Placed { number })?;
        }
        Ok(())
    };
    store.with_context(place).await.expect("orders");
    store
}

fn subscription(store: &EventStore) -> Subscription<Typed<Order>> {
    let at_once = RetryPolicy::none().with_attempts(3).with_base(Duration::ZERO);
    store.subscription(NAME).aggregate::<Order>().decode::<Order>().batch_size(3).retry(at_once)
}

/// Runs a subscription until it has handled all orders.
async fn until_caught_up(store: &EventStore, run: impl Future<Output = Result<()>>) -> TestResult {
    tokio::select! {
        ended = run => Err(format!("it ended: {ended:?}").into()),
        reached = store.wait_until_caught_up(NAME, Duration::from_secs(30)) => Ok(reached?),
    }
}

fn numbers(orders: &Orders) -> impl Iterator<Item = i64> {
    orders.iter().map(|order| match &order.event {
        OrderEvent::Placed(placed) => placed.number,
    })
}

/// A unit of work with an invoice for each order.
async fn billed(store: &EventStore, orders: &Orders) -> Result<Context> {
    let ctx = store.begin();
    for order in numbers(orders) {
        let mut invoice = ctx.create_with_key::<Invoice>(format!("invoice-{order}")).await?;
        ctx.apply(&mut invoice, Billed { order })?;
    }
    Ok(ctx)
}

async fn assert_all_are_billed(store: &EventStore) -> TestResult {
    let mut log = store.log(LogFilter::new().aggregate::<Invoice>(), Position::START);
    let mut invoices = 0;
    loop {
        match log.page(100).await?.events.len() {
            0 => break,
            more => invoices += more,
        }
    }
    assert_eq!(i64::try_from(invoices)?, ORDERS, "each has one");
    for order in 1..=ORDERS {
        let invoice = store.load_by_key::<Invoice>(format!("invoice-{order}").as_str()).await?;
        assert_eq!(invoice.order, order);
    }
    Ok(())
}

async fn insert(orders: &Orders, transaction: &mut Transaction<'static, Sqlite>) -> Result<(), sqlx::Error> {
    for number in numbers(orders) {
        sqlx::query("INSERT INTO orders VALUES ($1)").bind(number).execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn assert_all_are_in_the_table(store: &EventStore) -> TestResult {
    let engine = store.engine::<SqliteEngine>().ok_or("it runs on SQLite")?;
    let rows: Vec<i64> =
        sqlx::query_scalar("SELECT number FROM orders ORDER BY number").fetch_all(engine.pool()).await?;
    assert_eq!(rows, (1..=ORDERS).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_table_and_the_cursor_share_their_fate() -> TestResult {
    let place = Place::new();
    for engine in [place.engine().await, SqliteEngine::builder().connect().await?] {
        let store = store_on(engine).await;
        let run = subscription(&store).run_transactional::<SqliteEngine, _, _>(
            async |orders: Orders, mut transaction| {
                insert(&orders, &mut transaction).await?;
                match orders.attempt() {
                    1 => Err(HandlerError::from("what it wrote is undone")),
                    _ => Ok(transaction),
                }
            },
        );
        until_caught_up(&store, run).await?;
        assert_all_are_in_the_table(&store).await?;
        let status = store.subscriptions().await?;
        assert_eq!(status[0].cursor, store.head().await?);
    }
    Ok(())
}

#[tokio::test]
async fn a_handler_creates_aggregates_in_its_transaction() -> TestResult {
    let place = Place::new();
    let store = store_on(place.engine().await).await;
    let run = subscription(&store).run_transactional::<SqliteEngine, _, _>(
        async |orders: Orders, mut transaction| {
            let ctx = billed(&store, &orders).await?;
            commit_in(&ctx, &mut transaction).await?;
            match orders.attempt() {
                1 => Err(HandlerError::from("what it wrote is undone")),
                _ => Ok(transaction),
            }
        },
    );
    until_caught_up(&store, run).await?;
    assert_all_are_billed(&store).await
}

#[tokio::test]
async fn a_commit_through_the_store_beside_the_transaction_is_refused_at_once() -> TestResult {
    let place = Place::new();
    for engine in [place.engine().await, SqliteEngine::builder().connect().await?] {
        let store = store_on(engine).await;
        let refusals = Mutex::new(Vec::new());
        let run = subscription(&store).run_transactional::<SqliteEngine, _, _>(
            async |orders: Orders, mut transaction| {
                let refused = billed(&store, &orders).await?.commit().await;
                refusals.lock().expect("no panic").push(refused);
                insert(&orders, &mut transaction).await?;
                Ok::<_, HandlerError>(transaction)
            },
        );
        until_caught_up(&store, run).await?;
        for refused in refusals.into_inner()? {
            assert!(matches!(refused, Err(Error::WaitsForItself { .. })), "{refused:?}");
        }
        // The handler goes on, and what it does in its transaction counts.
        assert_all_are_in_the_table(&store).await?;
        assert_eq!(store.head().await?.get(), ORDERS);
    }
    Ok(())
}

#[tokio::test]
async fn a_handler_commits_through_a_store_with_one_connection() -> TestResult {
    let place = Place::new();
    drop(place.engine().await);
    let pool = SqlitePoolOptions::new().max_connections(1).connect(&place.url()).await?;
    for engine in [SqliteEngine::from_pool(pool).await?, SqliteEngine::builder().connect().await?] {
        let store = store_on(engine).await;
        let run = subscription(&store).run(async |orders: Orders| {
            billed(&store, &orders).await?.commit().await?;
            Ok(())
        });
        until_caught_up(&store, run).await?;
        assert_all_are_billed(&store).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_closure_with_a_transaction_runs_within_a_task() -> TestResult {
    let place = Place::new();
    let store = store_on(SqliteEngine::connect(&place.url()).await?).await;
    let within = store.clone();
    let task = tokio::spawn(async move {
        let added = std::sync::atomic::AtomicI64::new(0);
        let run =
            subscription(&within).run_transactional::<SqliteEngine, _, _>(async |batch, mut transaction| {
                for Decoded { event: OrderEvent::Placed(placed), .. } in batch {
                    let insert = sqlx::query("INSERT INTO orders (number) VALUES (?)").bind(placed.number);
                    insert.execute(&mut *transaction).await?;
                    added.fetch_add(placed.number, std::sync::atomic::Ordering::Relaxed);
                }
                Ok(transaction)
            });
        run.await
    });
    store.wait_until_caught_up(NAME, Duration::from_secs(30)).await?;
    task.abort();
    let engine = store.engine::<SqliteEngine>().ok_or("it is SQLite")?;
    let sum: i64 = sqlx::query_scalar("SELECT sum(number) FROM orders").fetch_one(engine.pool()).await?;
    assert_eq!(sum, ORDERS * (ORDERS + 1) / 2);
    Ok(())
}
