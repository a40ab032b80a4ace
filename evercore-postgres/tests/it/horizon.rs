//! No event is skipped: schedules of two sessions, step by step.

use std::sync::Arc;

use evercore::{
    Fingerprint, Payload, Position, Sequence,
    engine::{
        EngineErrorKind, EventFilter, LogRead, NewSnapshot, StorageEngine, Timestamp, TransactionalEngine,
    },
};
use evercore_postgres::PostgresEngine;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::task::JoinHandle;

use crate::fixtures::{Place, TestResult, Types, commit_new, define, run, write_new};

/// A store with an engine that writes and one that reads, as in two processes.
struct Scene {
    writer: PostgresEngine,
    reader: Arc<PostgresEngine>,
    types: Types,
    place: Place,
}

/// All filters under which the schedules are read: none, and one that lets everything through.
fn filters(types: Types) -> [EventFilter; 2] {
    [
        EventFilter::default(),
        EventFilter { aggregate_types: Some([types.user].into()), ..EventFilter::default() },
    ]
}

impl Scene {
    async fn new() -> Self {
        Self::at(Place::new().await).await
    }

    async fn at(place: Place) -> Self {
        let writer = place.engine().await;
        let types = define(&writer).await;
        Self { writer, reader: Arc::new(place.engine().await), types, place }
    }

    /// A reader that has read nothing yet.
    async fn fresh_reader(&mut self) {
        self.reader = Arc::new(self.place.engine().await);
    }

    /// The positions that a reader gets after a position.
    fn read(&self, filter: &EventFilter, after: i64) -> JoinHandle<Vec<i64>> {
        let reader = Arc::clone(&self.reader);
        let read = LogRead { filter: filter.clone(), after: Position::new(after), limit: 100 };
        tokio::spawn(async move {
            let page = reader.read_log(&read).await.expect("a page");
            page.events.iter().map(|event| event.position.get()).collect()
        })
    }

    /// What a reader sees that trusts positions.
    async fn naive(&self, after: i64) -> Vec<i64> {
        let statement = "SELECT position FROM evercore.events WHERE position > $1 ORDER BY position";
        let mut session = self.place.session().await;
        sqlx::query_scalar(statement).bind(after).fetch_all(&mut session).await.expect("positions")
    }
}

async fn a_late_commit_is_not_skipped_at(place: Place) -> TestResult {
    let mut scene = Scene::at(place).await;
    commit_new(&scene.writer, scene.types, 3).await;
    let mut last = 3;
    for filter in filters(scene.types) {
        scene.fresh_reader().await;
        let mut late = scene.writer.begin().await?;
        assert_eq!(write_new(&scene.writer, scene.types, 1, &mut late).await, Position::new(last + 1));
        assert_eq!(commit_new(&scene.writer, scene.types, 1).await, Position::new(last + 2));

        let naive = scene.naive(last).await;
        assert_eq!(naive, [last + 2], "a naive reader goes on after the second event");
        let reading = scene.read(&filter, last);
        scene.place.is_asked_who_is_appending(&reading).await;
        scene.writer.finish(late).await?;
        assert_eq!(reading.await?, [last + 1, last + 2]);
        assert_eq!(scene.naive(last + 2).await, [0_i64; 0], "and never sees the first one");
        last += 2;
    }
    Ok(())
}

#[tokio::test]
async fn a_late_commit_is_not_skipped() -> TestResult {
    a_late_commit_is_not_skipped_at(Place::new().await).await
}

#[tokio::test]
async fn a_late_commit_is_not_skipped_where_transactions_see_a_single_moment() -> TestResult {
    for (whose, isolation) in
        [("ROLE CURRENT_USER IN DATABASE", "repeatable read"), ("DATABASE", "serializable")]
    {
        let place = Place::new().await;
        let database = place.database();
        let set = format!("ALTER {whose} {database} SET default_transaction_isolation TO '{isolation}'");
        run(&mut place.session().await, set).await;
        let found: String =
            sqlx::query_scalar("SHOW transaction_isolation").fetch_one(&mut place.session().await).await?;
        assert_eq!(found, isolation);
        a_late_commit_is_not_skipped_at(place).await?;
    }
    Ok(())
}

#[tokio::test]
async fn events_before_a_gap_are_delivered_while_it_is_open() -> TestResult {
    let scene = Scene::new().await;
    commit_new(&scene.writer, scene.types, 2).await;
    let mut late = scene.writer.begin().await?;
    write_new(&scene.writer, scene.types, 1, &mut late).await;
    commit_new(&scene.writer, scene.types, 1).await;
    assert_eq!(scene.read(&EventFilter::default(), 0).await?, [1, 2]);
    scene.writer.finish(late).await?;
    assert_eq!(scene.read(&EventFilter::default(), 2).await?, [3, 4]);
    Ok(())
}

#[tokio::test]
async fn reading_from_the_middle_does_not_settle_what_is_before() -> TestResult {
    let scene = Scene::new().await;
    let mut late = scene.writer.begin().await?;
    write_new(&scene.writer, scene.types, 1, &mut late).await;
    commit_new(&scene.writer, scene.types, 2).await;
    assert_eq!(scene.read(&EventFilter::default(), 2).await?, [3]);
    let reading = scene.read(&EventFilter::default(), 0);
    scene.place.is_asked_who_is_appending(&reading).await;
    scene.writer.finish(late).await?;
    assert_eq!(reading.await?, [1, 2, 3]);
    Ok(())
}

#[tokio::test]
async fn the_first_event_of_a_fresh_sequence_is_not_skipped() -> TestResult {
    let scene = Scene::new().await;
    let mut late = scene.writer.begin().await?;
    assert_eq!(write_new(&scene.writer, scene.types, 1, &mut late).await, Position::new(1));
    assert_eq!(scene.reader.head().await?, Position::START, "nothing can be seen, nothing is waited for");
    assert_eq!(scene.read(&EventFilter::default(), 0).await?, [0_i64; 0]);
    commit_new(&scene.writer, scene.types, 1).await;
    let reading = scene.read(&EventFilter::default(), 0);
    scene.place.is_asked_who_is_appending(&reading).await;
    scene.writer.finish(late).await?;
    assert_eq!(reading.await?, [1, 2]);
    Ok(())
}

#[tokio::test]
async fn the_gap_of_a_rolled_back_transaction_is_passed() -> TestResult {
    let mut scene = Scene::new().await;
    let mut last = 0;
    for filter in filters(scene.types) {
        // Rolled back before it is looked at, and while the reader waits for it.
        for before in [true, false] {
            scene.fresh_reader().await;
            let mut late = scene.writer.begin().await?;
            write_new(&scene.writer, scene.types, 2, &mut late).await;
            commit_new(&scene.writer, scene.types, 1).await;
            let reading = match before {
                true => {
                    late.rollback().await?;
                    scene.read(&filter, last)
                }
                false => {
                    let reading = scene.read(&filter, last);
                    scene.place.is_asked_who_is_appending(&reading).await;
                    late.rollback().await?;
                    reading
                }
            };
            assert_eq!(reading.await?, [last + 3]);
            last += 3;
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_gap_of_a_savepoint_is_passed_and_what_follows_it_is_not_skipped() -> TestResult {
    let scene = Scene::new().await;
    let mut late = scene.writer.begin().await?;
    let mut savepoint = late.begin().await?;
    let id = crate::fixtures::new_id(&scene.writer).await;
    let query = "SELECT commit_position FROM evercore.commit_v1(NULL, NULL, NULL, ARRAY[$1], ARRAY[$2], ARRAY[NULL]::bigint[],
        ARRAY[1], ARRAY[NULL], ARRAY[NULL], ARRAY[$1], ARRAY[$2], ARRAY[$3], ARRAY[1], ARRAY[now()], ARRAY[NULL], ARRAY[NULL],
        ARRAY[1]::smallint[], ARRAY['1'::bytea], '{}', '{}', '{}', '{}', '{}')";
    let types = scene.types;
    let within: i64 = sqlx::query_scalar(query)
        .bind(id.get())
        .bind(i32::try_from(types.user.get())?)
        .bind(i32::try_from(types.created.get())?)
        .fetch_one(&mut *savepoint)
        .await?;
    assert_eq!(within, 1);
    savepoint.rollback().await?;
    commit_new(&scene.writer, types, 1).await;
    assert_eq!(scene.read(&EventFilter::default(), 0).await?, [2], "the transaction is still open");

    assert_eq!(write_new(&scene.writer, types, 1, &mut late).await, Position::new(3));
    commit_new(&scene.writer, types, 1).await;
    let reading = scene.read(&EventFilter::default(), 2);
    scene.place.is_asked_who_is_appending(&reading).await;
    scene.writer.finish(late).await?;
    assert_eq!(reading.await?, [3, 4]);
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_got_its_number_early_is_not_skipped() -> TestResult {
    let scene = Scene::new().await;
    let mut early = scene.writer.begin().await?;
    sqlx::query("SELECT pg_current_xact_id()").execute(&mut *early).await?;
    commit_new(&scene.writer, scene.types, 1).await;
    assert_eq!(scene.read(&EventFilter::default(), 0).await?, [1]);
    write_new(&scene.writer, scene.types, 1, &mut early).await;
    commit_new(&scene.writer, scene.types, 1).await;
    let reading = scene.read(&EventFilter::default(), 1);
    scene.place.is_asked_who_is_appending(&reading).await;
    scene.writer.finish(early).await?;
    assert_eq!(reading.await?, [2, 3]);
    Ok(())
}

#[tokio::test]
async fn head_and_times_wait_for_open_transactions_too() -> TestResult {
    let scene = Scene::new().await;
    let mut late = scene.writer.begin().await?;
    write_new(&scene.writer, scene.types, 1, &mut late).await;
    commit_new(&scene.writer, scene.types, 1).await;
    let (one, other) = (Arc::clone(&scene.reader), Arc::new(scene.place.engine().await));
    let head = tokio::spawn(async move { one.head().await });
    let located = tokio::spawn(async move { other.locate(Timestamp::now()).await });
    scene.place.is_asked_who_is_appending(&head).await;
    scene.place.is_asked_who_is_appending(&located).await;
    scene.writer.finish(late).await?;
    assert_eq!((head.await??, located.await??), (Position::new(2), Position::new(2)));
    Ok(())
}

/// Leaves a gap at the beginning of the log, and an event after it.
async fn gap(scene: &Scene) -> TestResult {
    let mut late = scene.writer.begin().await?;
    write_new(&scene.writer, scene.types, 1, &mut late).await;
    late.rollback().await?;
    commit_new(&scene.writer, scene.types, 1).await;
    Ok(())
}

#[tokio::test]
async fn strangers_do_not_hold_up_readers() -> TestResult {
    let scene = Scene::new().await;
    gap(&scene).await?;
    let mut stranger = scene.place.session().await;
    run(&mut stranger, "CREATE TABLE orders (number bigint)").await;
    run(&mut stranger, "BEGIN; INSERT INTO orders VALUES (7); SELECT * FROM evercore.events").await;
    assert_eq!(scene.read(&EventFilter::default(), 0).await?, [2]);
    assert_eq!(scene.reader.head().await?, Position::new(2));
    Ok(())
}

#[tokio::test]
async fn a_writer_that_waits_for_a_busy_aggregate_does_not_hold_up_readers() -> TestResult {
    let scene = Scene::new().await;
    let id = crate::fixtures::new_id(&scene.writer).await;
    let types = scene.types;
    scene.writer.commit(&crate::fixtures::append(types, id, 0, 1)).await.expect("a commit");
    let mut busy = scene.place.session().await;
    run(&mut busy, "BEGIN; SELECT * FROM evercore.aggregates FOR UPDATE").await;
    let waiting = {
        let engine = scene.place.engine().await;
        tokio::spawn(async move { engine.commit(&crate::fixtures::append(types, id, 1, 1)).await })
    };
    let mut session = scene.place.session().await;
    let blocked = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";
    while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&mut session).await? == 0 {}
    // A gap, so that the reader asks who is appending.
    gap(&scene).await?;
    assert_eq!(scene.read(&EventFilter::default(), 1).await?, [3]);
    run(&mut busy, "COMMIT").await;
    waiting.await?.expect("a commit");
    assert_eq!(scene.read(&EventFilter::default(), 3).await?, [4]);
    Ok(())
}

#[tokio::test]
async fn readers_that_wait_leave_the_connections_to_writers() -> TestResult {
    let scene = Scene::new().await;
    let one = std::num::NonZero::new(1).ok_or("it is not zero")?;
    let engine = PostgresEngine::builder().url(&scene.place.url()).pool_size(one).connect().await?;
    let engine = Arc::new(engine);
    let mut late = engine.begin().await?;
    write_new(&engine, scene.types, 1, &mut late).await;
    commit_new(&engine, scene.types, 1).await;
    let waiting = [(); 3].map(|()| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.head().await })
    });
    scene.place.is_asked_who_is_appending(&waiting[0]).await;
    commit_new(&engine, scene.types, 1).await;
    engine.finish(late).await?;
    for head in waiting {
        assert!(head.await?? >= Position::new(2));
    }
    Ok(())
}

#[tokio::test]
async fn a_writer_in_another_database_does_not_hold_up_readers() -> TestResult {
    let place = Place::new().await;
    place.engine().await.close().await?;
    // A copy, in which the tables have the same numbers.
    let copy = format!("{}_copy", place.database());
    let server = place.url().replace(&format!("/{}", place.database()), "/postgres");
    let mut administrator = PgConnection::connect(&server).await?;
    run(&mut administrator, format!("CREATE DATABASE {copy} TEMPLATE {}", place.database())).await;

    let scene = Scene::at(place).await;
    gap(&scene).await?;
    let url = scene.place.url().replace(scene.place.database(), &copy);
    let other = PostgresEngine::connect(&url).await?;
    let types = define(&other).await;
    let mut late = other.begin().await?;
    write_new(&other, types, 1, &mut late).await;
    assert_eq!(scene.read(&EventFilter::default(), 0).await?, [2]);

    drop(late);
    other.close().await?;
    let dropped = AssertSqlSafe(format!("DROP DATABASE {copy} WITH (FORCE)"));
    sqlx::raw_sql(dropped).execute(&mut administrator).await?;
    Ok(())
}

/// Whoever deletes a snapshot, which is allowed at any time, holds up those who write one, and nobody else.
#[tokio::test]
async fn a_writer_that_waits_for_a_snapshot_does_not_hold_up_readers() -> TestResult {
    let scene = Scene::new().await;
    let id = crate::fixtures::new_id(&scene.writer).await;
    let with_snapshot = |version| {
        let mut changes = crate::fixtures::append(scene.types, id, version, 1);
        changes.snapshots.push(NewSnapshot {
            aggregate_id: id,
            sequence: Sequence::new(version + 1),
            fingerprint: Fingerprint::new(1),
            payload: Payload::encode("state").expect("JSON"),
        });
        changes
    };
    scene.writer.commit(&with_snapshot(0)).await.expect("a commit");
    let mut busy = scene.place.session().await;
    run(&mut busy, "BEGIN; DELETE FROM evercore.snapshots").await;
    let waiting = {
        let (engine, changes) = (scene.place.engine().await, with_snapshot(1));
        tokio::spawn(async move { engine.commit(&changes).await })
    };
    let mut session = scene.place.session().await;
    let blocked = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";
    while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&mut session).await? == 0 {}
    let appending = "SELECT count(*) FROM pg_locks
        WHERE relation = 'evercore.events'::regclass AND mode = 'RowExclusiveLock'";
    assert_eq!(sqlx::query_scalar::<_, i64>(appending).fetch_one(&mut session).await?, 0);
    run(&mut busy, "COMMIT").await;
    waiting.await?.expect("a commit");
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_is_prepared_while_readers_wait_for_it_is_not_skipped() -> TestResult {
    let scene = Scene::new().await;
    let mut late = scene.writer.begin().await?;
    write_new(&scene.writer, scene.types, 1, &mut late).await;
    commit_new(&scene.writer, scene.types, 1).await;
    let reading = scene.read(&EventFilter::default(), 0);
    scene.place.is_asked_who_is_appending(&reading).await;
    sqlx::query("PREPARE TRANSACTION 'while they wait'").execute(&mut *late).await?;
    drop(late);
    scene.place.is_asked_who_is_appending(&reading).await;
    run(&mut scene.place.session().await, "COMMIT PREPARED 'while they wait'").await;
    assert_eq!(reading.await?, [1, 2]);
    Ok(())
}

/// As after a failover to a standby that has a transaction as prepared which was committed where it was read.
#[tokio::test]
async fn what_was_settled_before_the_connection_broke_is_not_taken_for_settled() -> TestResult {
    let scene = Scene::new().await;
    for filter in filters(scene.types) {
        commit_new(&scene.writer, scene.types, 3).await;
        let last = scene.reader.head().await?.get();
        let mut late = scene.place.session().await;
        let pending = format!(
            "CREATE TEMPORARY TABLE late AS SELECT * FROM evercore.events WHERE position = {last} - 1;
            DELETE FROM evercore.events WHERE position = {last} - 1"
        );
        run(&mut late, pending).await;
        run(&mut late, "BEGIN; INSERT INTO evercore.events OVERRIDING SYSTEM VALUE SELECT * FROM late").await;
        run(&mut scene.place.session().await, crate::failures::END_SESSIONS).await;
        for engine in [&scene.writer, &*scene.reader] {
            while engine.types().await.is_err() {}
        }
        let reading = scene.read(&filter, last - 2);
        scene.place.is_asked_who_is_appending(&reading).await;
        run(&mut late, "COMMIT").await;
        assert_eq!(reading.await?, [last - 1, last]);
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_that_breaks_while_readers_wait_gives_nothing_up_as_settled() -> TestResult {
    let scene = Scene::new().await;
    for filter in filters(scene.types) {
        let last = scene.writer.head().await?.get();
        let mut late = scene.place.session().await;
        run(
            &mut late,
            "BEGIN; SET application_name TO 'late'; LOCK TABLE evercore.events IN ROW EXCLUSIVE MODE",
        )
        .await;
        run(&mut late, "SELECT nextval('evercore.events_position')").await;
        commit_new(&scene.writer, scene.types, 1).await;
        let read = LogRead { filter: filter.clone(), after: Position::new(last), limit: 10 };
        let reading = {
            let (reader, read) = (Arc::clone(&scene.reader), read.clone());
            tokio::spawn(async move { reader.read_log(&read).await })
        };
        scene.place.is_asked_who_is_appending(&reading).await;
        run(&mut scene.place.session().await, crate::failures::END_SESSIONS).await;
        let error = reading.await?.expect_err("the connection is gone");
        assert_eq!(error.kind(), EngineErrorKind::ConnectionLost);

        let reading = scene.read(&filter, last);
        scene.place.is_asked_who_is_appending(&reading).await;
        run(&mut late, "ROLLBACK").await;
        assert_eq!(reading.await?, [last + 2]);
        while scene.writer.types().await.is_err() {}
    }
    Ok(())
}
