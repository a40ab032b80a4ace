//! Behind a pooler in transaction mode, which gives every transaction another session.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use evercore::{
    Position, Sequence,
    engine::{
        CommitError, EngineError, EngineErrorKind, EventFilter, LogPage, LogRead, StorageEngine,
        TransactionalEngine,
    },
};
use evercore_postgres::{PostgresEngine, PostgresEngineBuilder};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;
use xtask::postgres::{PgBouncer, PrivateServer, Statements};

use crate::{
    database::OwnDatabase,
    fixtures::{
        Place, TestResult, append, commit_new, create, define, load, log, log_after, new_id, run, write_new,
    },
    servers::{blocking, place_on, private},
};

/// Fewer than the engine has connections, so that they share them.
const SESSIONS: u32 = 4;

/// A store behind a pooler, and how to open it there.
struct Behind {
    pooler: PgBouncer,
    statements: Statements,
    place: Place,
}

impl Behind {
    /// With a pooler of each kind that can be had; says what is skipped.
    async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for statements in [Statements::Known, Statements::Unknown] {
            all.extend(Self::one(OwnDatabase::create_for_pooler().await, statements).await);
        }
        all
    }

    async fn one(database: OwnDatabase, statements: Statements) -> Option<Self> {
        let pooler = PgBouncer::before(&database, statements, SESSIONS).expect("it starts")?;
        Some(Self { pooler, statements, place: Place::of(database) })
    }

    fn builder(&self) -> PostgresEngineBuilder {
        let builder = PostgresEngine::builder().url(&self.pooler.url());
        match self.statements {
            Statements::Known => builder,
            Statements::Unknown => builder.without_prepared_statements(),
        }
    }

    async fn engine(&self) -> PostgresEngine {
        self.builder().connect().await.expect("the store opens")
    }

    /// Has something happen to the server while the pooler holds back what its clients say: they see nothing of it.
    async fn unseen(&self, what: impl AsyncFnOnce()) {
        let options: PgConnectOptions = self.pooler.console_url().parse().expect("a URL");
        let mut console = options.extra_float_digits(None).connect().await.expect("a console");
        run(&mut console, "PAUSE").await;
        what().await;
        run(&mut console, "RESUME").await;
    }

    async fn restart(&self, server: Arc<PrivateServer>) {
        self.unseen(async || blocking(move || server.restart()).await).await;
    }

    /// Kills a process of the server, which ends all sessions and recovers, without being started again.
    async fn crash(&self, server: Arc<PrivateServer>) {
        let crash = async || {
            let mut witness = self.place.session().await;
            let mut victim = self.place.session().await;
            let process: i32 =
                sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut victim).await.expect("a number");
            blocking(move || server.kill_backend_9(process)).await;
            while sqlx::query("SELECT").execute(&mut witness).await.is_ok() {}
            while PgConnection::connect(&self.place.url()).await.is_err() {}
        };
        self.unseen(crash).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_mixed_up_between_many_at_once() -> TestResult {
    const WRITERS: i64 = 8;
    const COMMITS: i64 = 20;
    for behind in Behind::all().await {
        let (engine, other) = (Arc::new(behind.engine().await), Arc::new(behind.engine().await));
        let types = define(&engine).await;
        let shared = new_id(&engine).await;
        engine.commit(&create(types, shared, "shared")).await.expect("a commit");
        let mut writing = Vec::new();
        for writer in 0..WRITERS {
            let engine = Arc::clone(if writer % 2 == 0 { &engine } else { &other });
            writing.push(tokio::spawn(async move {
                let own = new_id(&engine).await;
                let mut conflicts = 0;
                for version in 0..COMMITS {
                    engine.commit(&append(types, own, version, 1)).await.expect("a commit");
                    loop {
                        let found = load(&engine, shared).await.expect("it exists").version;
                        match engine.commit(&append(types, shared, found.get(), 1)).await {
                            Ok(_) => break,
                            Err(CommitError::Conflict { actual: Some(actual), .. }) if actual > found => {
                                conflicts += 1;
                            }
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                }
                conflicts
            }));
        }
        let expected = usize::try_from(1 + 2 * WRITERS * COMMITS)?;
        let mut events = Vec::new();
        while events.len() < expected {
            let after =
                events.last().map_or(Position::START, |event: &evercore::engine::StoredEvent| event.position);
            events.extend(log_after(&engine, EventFilter::default(), after, 7).await);
        }
        let mut conflicts = 0;
        for written in writing {
            conflicts += written.await?;
        }
        assert!(conflicts > 0, "they were in each other's way");
        let mut sequences = BTreeMap::new();
        for event in &events {
            let last = sequences.entry(event.aggregate_id).or_insert(Sequence::NONE);
            assert_eq!(
                event.sequence.get(),
                last.get() + 1,
                "none is lost, none is twice, none is out of order"
            );
            *last = event.sequence;
        }
        assert_eq!((events.len(), log(&other).await.len()), (expected, expected));
        engine.close().await?;
        other.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_late_commit_is_waited_for() -> TestResult {
    for behind in Behind::all().await {
        let engine = Arc::new(behind.engine().await);
        let types = define(&engine).await;
        let mut late = engine.begin().await?;
        write_new(&engine, types, 1, &mut late).await;
        commit_new(&engine, types, 1).await;
        let reading = {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { log(&engine).await.len() })
        };
        behind.place.is_asked_who_is_appending(&reading).await;
        engine.finish(late).await?;
        assert_eq!(reading.await?, 2);
    }
    Ok(())
}

#[tokio::test]
async fn rows_of_the_application_share_the_fate_of_events() -> TestResult {
    for behind in Behind::all().await {
        let engine = behind.engine().await;
        let types = define(&engine).await;
        run(&mut behind.place.session().await, "CREATE TABLE orders (number bigint)").await;
        let count = async || -> i64 {
            let mut session = behind.place.session().await;
            sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(&mut session).await.expect("a count")
        };
        for commit in [false, true] {
            let id = new_id(&engine).await;
            let mut transaction = engine.begin().await?;
            let insert = sqlx::query("INSERT INTO orders VALUES ($1)").bind(7_i64);
            insert.persistent(false).execute(&mut *transaction).await?;
            engine.commit_in(&append(types, id, 0, 3), &mut transaction).await.expect("it is written");
            match commit {
                true => engine.finish(transaction).await?,
                false => transaction.rollback().await?,
            }
            assert_eq!(load(&engine, id).await.is_some(), commit);
            assert_eq!(count().await, i64::from(commit));
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_takes_too_long_is_given_up_and_leaves_nothing_behind() -> TestResult {
    for behind in Behind::all().await {
        let engine = behind.builder().statement_timeout(Duration::from_millis(1_600)).connect().await?;
        let types = define(&engine).await;
        let id = new_id(&engine).await;
        let mut busy = behind.place.session().await;
        run(&mut busy, "BEGIN; LOCK TABLE evercore.aggregates").await;
        let begun = Instant::now();
        let answer = engine.commit(&append(types, id, 0, 1)).await;
        let Err(CommitError::Engine(error)) = answer else { panic!("nothing was written: {answer:?}") };
        assert!(matches!(error.kind(), EngineErrorKind::Busy | EngineErrorKind::Timeout), "{error:?}");
        let error = engine.aggregate_ids(types.user, None, 1).await.expect_err("nobody answers");
        assert_eq!(error.kind(), EngineErrorKind::Timeout);
        assert!(begun.elapsed() < Duration::from_secs(10));
        run(&mut busy, "COMMIT").await;

        assert_eq!(load(&engine, id).await, None);
        engine.commit(&append(types, id, 0, 1)).await.expect("the engine goes on");
        let left = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND state LIKE 'idle in%'";
        let until_none_is_left = async {
            while sqlx::query_scalar::<_, i64>(left).fetch_one(&mut busy).await.expect("a count") > 0 {}
        };
        timeout(Duration::from_secs(10), until_none_is_left).await.expect("no transaction stays open");
        let settings = "SELECT count(*) FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout')
            AND setting <> '0'";
        for _ in 0..SESSIONS {
            let mut transaction = engine.begin().await?;
            let query = sqlx::query_scalar::<_, i64>(settings).persistent(false);
            assert_eq!(query.fetch_one(&mut *transaction).await?, 0, "no session keeps a setting");
            transaction.commit().await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn commits_of_others_ring_where_the_server_is_named_and_are_found_elsewhere() -> TestResult {
    for behind in Behind::all().await {
        let writer = behind.engine().await;
        let types = define(&writer).await;
        let hears = behind.builder().listen_url(&behind.place.url()).connect().await?;
        let deaf = behind.builder().without_listening().connect().await?;
        let (mut rings, mut silence) = (hears.watch(), deaf.watch());
        let long = Duration::from_secs(10);
        timeout(long, rings.rung()).await.expect("it listens");
        for commit in 1..=3 {
            commit_new(&writer, types, 1).await;
            timeout(long, rings.rung()).await.expect("it rings");
            assert_eq!(log(&deaf).await.len(), commit);
        }
        assert!(timeout(Duration::ZERO, silence.rung()).await.is_err(), "nobody told it");
    }
    Ok(())
}

#[tokio::test]
async fn no_session_of_an_old_pooler_is_made_to_listen() -> TestResult {
    let database = OwnDatabase::create_for_pooler().await;
    let Some(behind) = Behind::one(database, Statements::Unknown).await else { return Ok(()) };
    let engine = behind.engine().await;
    let types = define(&engine).await;
    let mut listener = engine.watch();
    commit_new(&engine, types, 1).await;
    timeout(Duration::from_secs(10), listener.rung()).await.expect("its own commits ring");
    let listening = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND query ILIKE 'listen%'";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(listening).fetch_one(&mut behind.place.session().await).await?,
        0
    );
    Ok(())
}

/// So that the other tests can fail.
#[tokio::test]
async fn an_old_pooler_needs_the_option() -> TestResult {
    let database = OwnDatabase::create_for_pooler().await;
    let Some(behind) = Behind::one(database, Statements::Unknown).await else { return Ok(()) };
    define(&behind.engine().await).await;
    for _ in 0..20 {
        let Ok(engine) = PostgresEngine::connect(&behind.pooler.url()).await else { return Ok(()) };
        for _ in 0..SESSIONS {
            if engine.types().await.is_err() {
                return Ok(());
            }
        }
    }
    Err("statements that another session has prepared were found".into())
}

/// An answer, however often the server or the pooler has to be asked.
async fn page_after(engine: &PostgresEngine, after: i64) -> Result<LogPage, EngineError> {
    let read = LogRead { filter: EventFilter::default(), after: Position::new(after), limit: 10 };
    loop {
        match engine.read_log(&read).await {
            Err(error) if error.is_temporary() => {}
            answer => return answer,
        }
    }
}

/// What was read on a server is lost with it: it was replaced by a copy that lags behind, where positions are drawn again.
async fn what_was_settled_is_not_trusted(
    place: &Place,
    engine: PostgresEngine,
    restart: impl AsyncFnOnce(),
) -> TestResult {
    let writer = place.engine().await;
    let types = define(&engine).await;
    commit_new(&writer, types, 5).await;
    assert_eq!(engine.head().await?, Position::new(5));
    assert_eq!(log(&engine).await.len(), 5);
    writer.close().await?;

    let lose = "DELETE FROM evercore.events WHERE position > 3; SELECT setval('evercore.events_position', 3)";
    run(&mut place.session().await, lose).await;
    restart().await;
    let writer = place.engine().await;
    let mut late = writer.begin().await?;
    write_new(&writer, types, 1, &mut late).await;
    commit_new(&writer, types, 2).await;
    let error = page_after(&engine, 3).await.expect_err("another event is there");
    assert_eq!(error.kind(), EngineErrorKind::LogRewound, "{error:?}");
    writer.finish(late).await?;
    Ok(())
}

/// A server that was started again has lost no event, but a transaction that is prepared there has another number.
async fn who_was_appending_is_not_trusted(
    place: &Place,
    engine: PostgresEngine,
    restart: impl AsyncFnOnce(),
) -> TestResult {
    let writer = place.engine().await;
    let types = define(&writer).await;
    let mut late = writer.begin().await?;
    write_new(&writer, types, 1, &mut late).await;
    sqlx::query("PREPARE TRANSACTION 'late'").execute(&mut *late).await?;
    drop(late);
    commit_new(&writer, types, 1).await;
    writer.close().await?;

    let reading = tokio::spawn(async move { page_after(&engine, 0).await.map(|page| page.events.len()) });
    place.is_asked_who_is_appending(&reading).await;
    restart().await;
    place.is_asked_who_is_appending(&reading).await;
    run(&mut place.session().await, "COMMIT PREPARED 'late'").await;
    assert_eq!(reading.await??, 2);
    Ok(())
}

/// A store on a server of its own, behind a pooler, if that can be had.
async fn on_own_server(statements: Statements) -> Option<(Arc<PrivateServer>, Behind)> {
    let server = private().await;
    let create = Arc::clone(&server);
    let database = blocking(move || create.create_database()).await;
    let behind = Behind::one(database.into(), statements).await?;
    Some((server, behind))
}

/// The clients of a pooler do not see that the server is another one.
#[tokio::test]
async fn what_was_settled_on_another_server_is_not_trusted() -> TestResult {
    for statements in [Statements::Known, Statements::Unknown] {
        let Some((server, behind)) = on_own_server(statements).await else { continue };
        let engine = behind.engine().await;
        what_was_settled_is_not_trusted(&behind.place, engine, async || behind.restart(server).await).await?;
    }
    Ok(())
}

/// Nor that it was started again.
#[tokio::test]
async fn who_was_appending_before_a_restart_is_not_trusted() -> TestResult {
    for statements in [Statements::Known, Statements::Unknown] {
        let Some((server, behind)) = on_own_server(statements).await else { continue };
        let engine = behind.engine().await;
        who_was_appending_is_not_trusted(&behind.place, engine, async || behind.restart(server).await)
            .await?;
    }
    Ok(())
}

/// Nor that it has recovered from a crash: then the time at which it was started is the same.
#[tokio::test]
async fn who_was_appending_before_a_crash_is_not_trusted() -> TestResult {
    for statements in [Statements::Known, Statements::Unknown] {
        let Some((server, behind)) = on_own_server(statements).await else { continue };
        let engine = behind.engine().await;
        who_was_appending_is_not_trusted(&behind.place, engine, async || behind.crash(server).await).await?;
    }
    Ok(())
}

/// A commit goes on when its transaction cannot begin on a connection; a reader must not.
#[tokio::test]
async fn a_reader_does_not_go_on_over_a_connection_that_was_replaced() -> TestResult {
    for is_lossy in [true, false] {
        let server = private().await;
        let place = place_on(&server).await;
        let builder = PostgresEngine::builder().url(&place.url()).without_prepared_statements();
        let engine = builder.connect().await?;
        let restart = async || blocking(move || server.restart()).await;
        match is_lossy {
            true => what_was_settled_is_not_trusted(&place, engine, restart).await?,
            false => who_was_appending_is_not_trusted(&place, engine, restart).await?,
        }
    }
    Ok(())
}
