//! The engine against the best simple form of the same statements in sqlx: `cargo bench -p evercore-sqlite`.
//!
//! Events per second; each figure is the best of nine runs, which other load disturbs the least. Read the
//! ratios: machines differ.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use evercore::{
    AggregateId, AggregateTypeId, Codec, EventTypeId, Payload, Position, Sequence,
    engine::{
        AggregateChange, Changes, EventFilter, Expected, KeyChange, Load, LoadTarget, LogRead, NewEvent,
        SnapshotUse, StorageEngine, StoredEvent, Timestamp, TypeNames,
    },
};
use evercore_sqlite::SqliteEngine;
use sqlx::{
    Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

type BenchResult<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const PAYLOAD: &str = r#"{"username":"johndoe","email":"john@example.com","is_active":true,"roles":["reader","writer"],"address":{"city":"Amsterdam","street":"Damrak 1"}}"#;
const INSERT: &str = "
BEGIN IMMEDIATE;
INSERT INTO evercore_aggregates (id, type_id, natural_key, version) VALUES (?1, ?2, NULL, 1);
INSERT INTO evercore_events (aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, codec, payload)
VALUES (?1, ?2, ?3, 1, ?4, max(?4, coalesce((SELECT recorded_at FROM evercore_events ORDER BY position DESC LIMIT 1), 0)), 1, ?5);
COMMIT";

/// A filled store and a pool on it.
struct Bench {
    engine: Arc<SqliteEngine>,
    pool: SqlitePool,
    user: AggregateTypeId,
    created: EventTypeId,
    next_id: AtomicI64,
    _directory: TempDir,
}

#[tokio::main]
async fn main() -> BenchResult {
    let bench = Arc::new(Bench::new().await?);
    let mut table = vec![];
    for tasks in [1, 32] {
        let own = bench.append(tasks, Driver::Own).await?;
        let sqlx = bench.append(tasks, Driver::Sqlx).await?;
        table.push((format!("append-1, {tasks} tasks"), own, sqlx));
    }
    table.push(("log, pages of 1,000".to_owned(), bench.own_log().await?, bench.sqlx_log().await?));
    table.push(("log, rare events".to_owned(), bench.own_scan().await?, bench.sqlx_scan().await?));
    table.push(("load of 100 events".to_owned(), bench.own_load().await?, bench.sqlx_load().await?));
    println!("| events per second | engine | sqlx | ratio |\n|---|---|---|---|");
    for (what, own, sqlx) in table {
        println!("| {what} | {own:.0} | {sqlx:.0} | {:.1} |", own / sqlx);
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Driver {
    Own,
    Sqlx,
}

impl Bench {
    async fn new() -> BenchResult<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("bench.db");
        let engine = SqliteEngine::builder().path(&path).connect().await?;
        let names = TypeNames { aggregates: vec!["user".into()], events: vec!["UserCreated".into()] };
        let types = engine.define_types(&names).await?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(5));
        // One connection: with more of them writers wait for the lock by sleeping.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        let bench = Self {
            engine: engine.into(),
            pool,
            user: types.aggregates[0].0,
            created: types.events[0].0,
            next_id: AtomicI64::new(1),
            _directory: directory,
        };
        for _ in 0..1_000 {
            bench.commit(100).await;
        }
        Ok(bench)
    }

    fn new_id(&self) -> i64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    async fn commit(&self, events: i64) {
        let id = AggregateId::new(self.new_id());
        let change = AggregateChange {
            id,
            type_id: self.user,
            expected: Expected::New,
            version: Sequence::new(events),
            key: KeyChange::Keep,
        };
        let events = (1..=events).map(|sequence| NewEvent {
            aggregate_id: id,
            aggregate_type: self.user,
            event_type: self.created,
            sequence: Sequence::new(sequence),
            time: Timestamp::now(),
            reference: None,
            metadata: None,
            payload: Payload::new(Codec::JSON, PAYLOAD.into()),
        });
        let changes = Changes { aggregates: vec![change], events: events.collect(), ..Changes::default() };
        self.engine.commit(&changes).await.expect("a commit");
    }

    async fn insert(&self) {
        sqlx::query(INSERT)
            .bind(self.new_id())
            .bind(self.user.get())
            .bind(self.created.get())
            .bind(Timestamp::now().micros())
            .bind(PAYLOAD)
            .execute(&self.pool)
            .await
            .expect("a commit");
    }

    async fn append(self: &Arc<Self>, tasks: usize, driver: Driver) -> BenchResult<f64> {
        const COMMITS: usize = 6_400;
        best(COMMITS, async || {
            let mut running = JoinSet::new();
            for _ in 0..tasks {
                let bench = Arc::clone(self);
                running.spawn(async move {
                    for _ in 0..COMMITS / tasks {
                        match driver {
                            Driver::Own => bench.commit(1).await,
                            Driver::Sqlx => bench.insert().await,
                        }
                    }
                });
            }
            running.join_all().await;
            Ok(())
        })
        .await
    }

    async fn own_log(&self) -> BenchResult<f64> {
        best(100_000, async || {
            let mut after = Position::START;
            for _ in 0..100 {
                let read = LogRead { filter: EventFilter::default(), after, limit: 1_000 };
                let page = self.engine.read_log(&read).await?;
                assert_eq!(page.events.len(), 1_000);
                after = page.end;
            }
            Ok(())
        })
        .await
    }

    async fn sqlx_log(&self) -> BenchResult<f64> {
        const SQL: &str = "SELECT position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, \
            reference, metadata, codec, payload FROM evercore_events WHERE position > ?1 ORDER BY position LIMIT 1000";
        best(100_000, async || {
            let mut after = 0;
            for _ in 0..100 {
                let rows = sqlx::query(SQL).bind(after).fetch_all(&self.pool).await?;
                let events = rows.iter().map(event).collect::<Result<Vec<_>, _>>()?;
                assert_eq!(events.len(), 1_000);
                after = events[999].position.get();
            }
            Ok(())
        })
        .await
    }

    /// A filter that nothing passes: how fast the log is gone through.
    async fn own_scan(&self) -> BenchResult<f64> {
        let event_types = Some([EventTypeId::new(i64::MAX)].into());
        let filter = EventFilter { event_types, ..EventFilter::default() };
        best(100_000, async || {
            let mut after = Position::START;
            while after.get() < 100_000 {
                after =
                    self.engine.read_log(&LogRead { filter: filter.clone(), after, limit: 1_000 }).await?.end;
            }
            Ok(())
        })
        .await
    }

    async fn sqlx_scan(&self) -> BenchResult<f64> {
        const SQL: &str =
            "SELECT count(*) FROM evercore_events WHERE position <= 100000 AND event_type_id = ?1";
        best(100_000, async || {
            let count: i64 = sqlx::query_scalar(SQL).bind(i64::MAX).fetch_one(&self.pool).await?;
            assert_eq!(count, 0);
            Ok(())
        })
        .await
    }

    async fn own_load(&self) -> BenchResult<f64> {
        best(100_000, async || {
            for id in 1..=1_000 {
                let load = Load {
                    target: LoadTarget::Id(AggregateId::new(id)),
                    snapshot: SnapshotUse::Any,
                    after: Sequence::NONE,
                    limit: 1_000,
                };
                let loaded = self.engine.load(&[load]).await?;
                assert_eq!(loaded[0].as_ref().map(|loaded| loaded.events.len()), Some(100));
            }
            Ok(())
        })
        .await
    }

    /// One query for aggregate, snapshot and events, so that it is one hop.
    async fn sqlx_load(&self) -> BenchResult<f64> {
        const SQL: &str = "SELECT position, event.aggregate_id, aggregate_type_id, event_type_id, event.sequence, time, recorded_at, \
            reference, metadata, event.codec, event.payload, version, natural_key, snapshot.payload \
            FROM evercore_aggregates AS aggregate LEFT JOIN evercore_snapshots AS snapshot ON snapshot.aggregate_id = aggregate.id \
            LEFT JOIN evercore_events AS event ON event.aggregate_id = aggregate.id AND event.sequence > coalesce(snapshot.sequence, 0) \
            WHERE aggregate.id = ?1 ORDER BY event.sequence LIMIT 1000";
        best(100_000, async || {
            for id in 1..=1_000 {
                let rows = sqlx::query(SQL).bind(id).fetch_all(&self.pool).await?;
                let events = rows.iter().map(event).collect::<Result<Vec<_>, _>>()?;
                assert_eq!(events.len(), 100);
            }
            Ok(())
        })
        .await
    }
}

fn event(row: &SqliteRow) -> BenchResult<StoredEvent> {
    Ok(StoredEvent {
        position: Position::new(row.try_get(0)?),
        aggregate_id: AggregateId::new(row.try_get(1)?),
        aggregate_type: AggregateTypeId::new(row.try_get(2)?),
        event_type: EventTypeId::new(row.try_get(3)?),
        sequence: Sequence::new(row.try_get(4)?),
        time: Timestamp::from_micros(row.try_get(5)?).ok_or("a time")?,
        recorded_at: Timestamp::from_micros(row.try_get(6)?).ok_or("a time")?,
        reference: row.try_get(7)?,
        metadata: row.try_get(8)?,
        payload: Payload::new(Codec::new(row.try_get(9)?), row.try_get_unchecked::<&[u8], _>(10)?.to_vec()),
    })
}

/// Events per second of the best run; each handles so many.
async fn best(events: usize, run: impl AsyncFn() -> BenchResult) -> BenchResult<f64> {
    let mut best: f64 = 0.0;
    for _ in 0..9 {
        let start = Instant::now();
        run().await?;
        best = best.max(f64::from(u32::try_from(events)?) / start.elapsed().as_secs_f64());
    }
    Ok(best)
}
