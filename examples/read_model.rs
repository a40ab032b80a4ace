//! A table that is kept up to date exactly once for each event, although the program that does it is killed.
//!
//! ```text
//! cargo run --example read_model                                                     # in a SQLite file
//! EVERCORE_DSN=sqlite://balances.db cargo run --example read_model                   # in a file that stays
//! EVERCORE_DSN=postgres://app:secret@localhost/app cargo run --example read_model
//! ```
//!
//! The program starts itself again as the one that fills the table, kills that process three times in the middle of
//! its work, and lets the fourth come to the end. Then it compares the table with the log.

#![allow(missing_docs, reason = "the names of a small program say it")]

use std::{
    env,
    error::Error,
    process::{Child, Command},
    time::Duration,
};

use evercore::{
    Aggregate, Apply, Batch, Context, Decoded, EventStore, HandlerError, LogFilter, Position,
    engine::TransactionalEngine, event,
};
use evercore_postgres::PostgresEngine;
use evercore_sqlite::SqliteEngine;
use sqlx::{Postgres, Sqlite, Transaction};

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Deposited), snapshot = off)]
struct Account {
    cents: i64,
}

#[event]
struct Deposited {
    cents: i64,
}

impl Apply<Deposited> for Account {
    fn apply(&mut self, event: &Deposited) {
        self.cents += event.cents;
    }
}

evercore::registry!(Domain { Account });

const BALANCES: &str = "balances";
const PATIENCE: Duration = Duration::from_secs(60);

/// By this argument the process is known that fills the table.
const PROJECT: &str = "project";

// Adding is not idempotent: an event that is handled twice makes the balance wrong.
const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS balances (account bigint PRIMARY KEY, cents bigint, deposits bigint)";
const ADD: &str = "INSERT INTO balances VALUES ($1, $2, 1) ON CONFLICT (account)
    DO UPDATE SET cents = balances.cents + excluded.cents, deposits = balances.deposits + 1";
const TOTAL: &str =
    "SELECT CAST(coalesce(sum(deposits), 0) AS bigint), CAST(coalesce(sum(cents), 0) AS bigint)
    FROM balances";

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let dsn = env::var("EVERCORE_DSN").ok();
    // A file of its own, so that each run begins anew.
    let file = env::temp_dir().join(format!("evercore-read-model-{}.db", std::process::id()));
    let url = dsn.clone().unwrap_or_else(|| format!("sqlite://{}", file.display()));
    match url.starts_with("postgres") {
        true => run(PostgresEngine::connect(&url).await?, &url).await?,
        false => run(SqliteEngine::connect(&url).await?, &url).await?,
    }
    if dsn.is_none() {
        std::fs::remove_file(file)?;
    }
    Ok(())
}

/// What differs between the databases: the types of the driver.
trait Table: TransactionalEngine {
    fn create(&self) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    fn add(
        transaction: &mut Self::Transaction,
        account: i64,
        cents: i64,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// How many deposits the table knows of, and the sum of all balances.
    fn total(&self) -> impl Future<Output = Result<(i64, i64), sqlx::Error>> + Send;
}

async fn run<E: Table>(engine: E, url: &str) -> Result<(), Failure> {
    engine.create().await?;
    let store = EventStore::open::<Domain>(engine).await?;
    let argument = env::args().nth(1);
    match argument.as_deref() {
        Some(PROJECT) => project::<E>(&store).await?,
        _ => {
            kill_and_compare::<E>(&store, url).await?;
            store.close().await?;
        }
    }
    Ok(())
}

/// Fills the table, until the process is killed.
async fn project<E: Table>(store: &EventStore) -> evercore::Result<()> {
    let balances = store
        .subscription(BALANCES)
        .aggregate::<Account>()
        .decode::<Account>()
        .batch_size(5)
        // A process that was killed owns the subscription until its lease ends; the next one waits for that.
        .lease(Duration::from_secs(1))
        .standby();
    // The cursor moves in the transaction that the handler gets and gives back: table and cursor have one fate.
    balances
        .run_transactional::<E, _, _>(async |batch: Batch<Decoded<AccountEvent>>, mut transaction| {
            for deposit in batch {
                let AccountEvent::Deposited(event) = deposit.event;
                let account = deposit.recorded.aggregate_id().get();
                E::add(&mut transaction, account, event.cents).await?;
            }
            // As if there was more to do, so that there is time to kill it.
            tokio::time::sleep(Duration::from_millis(2)).await;
            Ok::<_, HandlerError>(transaction)
        })
        .await
}

async fn kill_and_compare<E: Table>(store: &EventStore, url: &str) -> Result<(), Failure> {
    for kill in 1..=3 {
        let begin = store.head().await?;
        deposit(store, 5, 100).await?;
        let some = Position::new(begin.get() + 100);
        let mut process = start(url)?;
        store.wait_for(BALANCES, some, PATIENCE).await?;
        process.kill()?; // SIGKILL on Unix: it has no chance to tidy up
        process.wait()?;
        let (deposits, _) = table::<E>(store).await?;
        println!("killed process {kill} when the table knew of {deposits} deposits");
    }
    let mut process = start(url)?;
    store.wait_until_caught_up(BALANCES, PATIENCE).await?;
    process.kill()?;
    process.wait()?;

    let (expected, found) = (log(store).await?, table::<E>(store).await?);
    println!("the log has {} deposits of {} cents", expected.0, expected.1);
    println!("the table has {} deposits of {} cents", found.0, found.1);
    match expected == found {
        true => Ok(()),
        false => Err("the table is not exact".into()),
    }
}

fn start(url: &str) -> std::io::Result<Child> {
    Command::new(env::current_exe()?).arg(PROJECT).env("EVERCORE_DSN", url).spawn()
}

async fn deposit(store: &EventStore, accounts: u32, deposits: u32) -> evercore::Result<()> {
    let work = async |ctx: Context| {
        for _ in 0..accounts {
            let mut account = ctx.create::<Account>().await?;
            for number in 1..=deposits {
                ctx.apply(&mut account, Deposited { cents: number.into() })?;
            }
        }
        Ok(())
    };
    store.with_context(work).await
}

async fn table<E: Table>(store: &EventStore) -> Result<(i64, i64), Failure> {
    Ok(store.engine::<E>().ok_or("the store runs on this engine")?.total().await?)
}

/// What the table should say.
async fn log(store: &EventStore) -> evercore::Result<(i64, i64)> {
    let (mut deposits, mut cents) = (0, 0);
    let mut log = store.log(LogFilter::new().aggregate::<Account>(), Position::START);
    loop {
        let page = log.page(1_000).await?;
        if page.events.is_empty() {
            return Ok((deposits, cents));
        }
        for event in page.events {
            let AccountEvent::Deposited(event) = event.decode::<Account>()?;
            deposits += 1;
            cents += event.cents;
        }
    }
}

impl Table for SqliteEngine {
    async fn create(&self) -> Result<(), sqlx::Error> {
        sqlx::query(CREATE).execute(self.pool()).await.map(drop)
    }

    async fn add(
        transaction: &mut Transaction<'static, Sqlite>,
        account: i64,
        cents: i64,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(ADD).bind(account).bind(cents).execute(&mut **transaction).await.map(drop)
    }

    async fn total(&self) -> Result<(i64, i64), sqlx::Error> {
        sqlx::query_as(TOTAL).fetch_one(self.pool()).await
    }
}

impl Table for PostgresEngine {
    async fn create(&self) -> Result<(), sqlx::Error> {
        sqlx::query(CREATE).execute(self.pool()).await.map(drop)
    }

    async fn add(
        transaction: &mut Transaction<'static, Postgres>,
        account: i64,
        cents: i64,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(ADD).bind(account).bind(cents).execute(&mut **transaction).await.map(drop)
    }

    async fn total(&self) -> Result<(i64, i64), sqlx::Error> {
        sqlx::query_as(TOTAL).fetch_one(self.pool()).await
    }
}
