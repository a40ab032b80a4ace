//! Opening, migrating, reopening and closing.

use std::{num::NonZero, time::Duration};

use evercore::{
    AggregateId, Sequence,
    engine::{EngineError, EngineErrorKind, StorageEngine},
};
use evercore_postgres::PostgresEngine;
use sqlx::{PgConnection, PgPool};
use tokio::net::TcpListener;

use crate::fixtures::{Place, TestResult, commit_new, create, define, key, load, log, names, new_id, run};

fn refused(opened: Result<PostgresEngine, EngineError>) -> EngineError {
    opened.expect_err("it does not open")
}

fn reason(error: &EngineError) -> String {
    std::error::Error::source(error).expect("a source").to_string()
}

#[tokio::test]
async fn everything_is_there_when_the_store_is_opened_again() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    engine.commit(&create(types, id, "john")).await.expect("a commit");
    let before = load(&engine, id).await;
    let unused = engine.reserve_ids(10).await?;
    engine.close().await?;

    let engine = place.engine().await;
    assert_eq!(load(&engine, id).await, before);
    assert_eq!(engine.find_by_key(types.user, &key("john")).await?, Some(id));
    assert_eq!(engine.types().await?, engine.define_types(&names()).await?);
    assert_eq!(new_id(&engine).await, AggregateId::new(unused.first.get() + 10), "no id is handed out twice");
    Ok(())
}

/// A process once took the schema for missing that another one had made while it waited: PostgreSQL remembers that
/// there is no table of a name until it takes a lock on one.
#[tokio::test]
async fn eight_may_open_a_database_without_a_store_at_once() -> TestResult {
    let place = Place::new().await;
    // All of them see that there is no store, and meet where one has to migrate first.
    let mut barrier = place.session().await;
    let lock = "(hashtextextended('evercore migrations of \"evercore\"', 0))";
    run(&mut barrier, format!("SELECT pg_advisory_lock{lock}")).await;
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let url = place.url();
            tokio::spawn(async move { PostgresEngine::connect(&url).await })
        })
        .collect();
    let blocked = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&mut barrier).await? < 8 {}
    run(&mut barrier, format!("SELECT pg_advisory_unlock{lock}")).await;

    for opened in opening {
        define(&opened.await??).await;
    }
    let steps: Vec<i64> = sqlx::query_scalar("SELECT version FROM evercore.migrations ORDER BY version")
        .fetch_all(&mut place.session().await)
        .await?;
    assert_eq!(steps, [1, 2, 3, 4]);
    Ok(())
}

#[tokio::test]
async fn a_newer_schema_is_refused() -> TestResult {
    let place = Place::new().await;
    drop(place.engine().await);
    run(&mut place.session().await, "INSERT INTO evercore.migrations (version, name) VALUES (99, 'later')")
        .await;
    let builder = PostgresEngine::builder().url(&place.url());
    for builder in [builder.clone(), builder.without_migration()] {
        let error = refused(builder.connect().await);
        assert_eq!(error.kind(), EngineErrorKind::Incompatible);
        assert_eq!(
            reason(&error),
            "the schema has version 99, this version of the library knows those up to 4"
        );
    }
    Ok(())
}

#[tokio::test]
async fn without_migration_the_schema_must_be_there() -> TestResult {
    let place = Place::new().await;
    let builder = PostgresEngine::builder().url(&place.url()).without_migration();
    let error = refused(builder.clone().connect().await);
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    PostgresEngine::migrate(builder.clone()).await?;
    define(&builder.connect().await?).await;
    Ok(())
}

#[tokio::test]
async fn a_schema_made_by_hand_is_the_one_that_is_made_by_itself() -> TestResult {
    let (by_hand, by_itself) = (Place::new().await, Place::new().await);
    run(&mut by_hand.session().await, PostgresEngine::migrations_sql("evercore")?).await;
    drop(by_itself.engine().await);
    let columns = "SELECT string_agg(concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default), ', '
        ORDER BY table_name, ordinal_position) FROM information_schema.columns WHERE table_schema = 'evercore'";
    let rest = "SELECT string_agg(text, E'\\n' ORDER BY text) FROM (
        SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE connamespace = 'evercore'::regnamespace
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'evercore'
        UNION ALL SELECT md5(prosrc) FROM pg_proc WHERE pronamespace = 'evercore'::regnamespace
        UNION ALL SELECT name || version FROM evercore.migrations) AS parts";
    for statement in [columns, rest] {
        let mut found = Vec::new();
        for place in [&by_hand, &by_itself] {
            let text: String = sqlx::query_scalar(statement).fetch_one(&mut place.session().await).await?;
            found.push(text);
        }
        assert_eq!(found[0], found[1]);
    }
    define(&by_hand.engine().await).await;
    Ok(())
}

#[tokio::test]
async fn two_schemas_are_two_stores() -> TestResult {
    let place = Place::new().await;
    let builder = PostgresEngine::builder().url(&place.url());
    let (one, other) =
        (builder.clone().schema("one").connect().await?, builder.schema("Other_2").connect().await?);
    let types = define(&one).await;
    commit_new(&one, types, 3).await;
    assert_eq!((log(&one).await.len(), log(&other).await.len()), (3, 0));
    assert_eq!(other.types().await?.aggregates, []);
    Ok(())
}

#[tokio::test]
async fn a_sequence_behind_the_log_is_refused_with_its_repair() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    commit_new(&engine, types, 5).await;
    run(&mut place.session().await, "SELECT setval('evercore.events_position', 4)").await;
    let error = refused(PostgresEngine::connect(&place.url()).await);
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    let reason = reason(&error);
    let (_, repair) = reason.split_once("run ").ok_or("it says what to run")?;
    run(&mut place.session().await, repair).await;
    commit_new(&place.engine().await, types, 1).await;
    Ok(())
}

/// As after a switch-over to a logical replica, whose sequence has not moved.
#[tokio::test]
async fn a_sequence_behind_the_log_is_refused_on_every_new_connection() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    commit_new(&engine, types, 5).await;
    run(&mut place.session().await, "SELECT setval('evercore.events_position', 4)").await;
    run(&mut place.session().await, crate::failures::END_SESSIONS).await;
    let error = loop {
        match engine.head().await {
            Err(error) if error.is_temporary() => {}
            answer => break answer.expect_err("positions would be drawn again"),
        }
    };
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    Ok(())
}

#[tokio::test]
async fn an_altered_sequence_is_refused() -> TestResult {
    for change in ["INCREMENT 10", "CACHE 20", "CYCLE"] {
        let place = Place::new().await;
        drop(place.engine().await);
        run(&mut place.session().await, format!("ALTER SEQUENCE evercore.events_position {change}")).await;
        let error = refused(PostgresEngine::connect(&place.url()).await);
        assert_eq!(error.kind(), EngineErrorKind::Incompatible, "{change}");
    }
    Ok(())
}

#[tokio::test]
async fn a_pool_of_the_application_is_used_and_stays_open() -> TestResult {
    let place = Place::new().await;
    let pool = PgPool::connect(&place.url()).await?;
    let engine = PostgresEngine::from_pool(pool.clone()).await?;
    let types = define(&engine).await;
    commit_new(&engine, types, 1).await;
    let id = new_id(&engine).await;
    let mut transaction = pool.begin().await?;
    let changes = crate::fixtures::append(types, id, 0, 1);
    use evercore::engine::TransactionalEngine as _;
    engine.commit_in(&changes, &mut transaction).await.expect("it is written");
    engine.finish(transaction).await?;
    assert_eq!(load(&engine, id).await.map(|found| found.version), Some(Sequence::new(1)));
    engine.close().await?;
    assert!(!pool.is_closed());
    Ok(())
}

#[tokio::test]
async fn the_engine_uses_as_many_connections_as_it_may() -> TestResult {
    let place = Place::new().await;
    let builder = PostgresEngine::builder().url(&place.url()).application_name("counted");
    let engine = std::sync::Arc::new(builder.pool_size(NonZero::new(3).ok_or("not zero")?).connect().await?);
    let types = define(&engine).await;
    let mut session = place.session().await;
    // Commits that are answered at once may all take turns on one connection.
    run(&mut session, "BEGIN; LOCK TABLE evercore.events IN SHARE MODE").await;
    let writing: Vec<_> = (0..40)
        .map(|_| {
            let engine = std::sync::Arc::clone(&engine);
            tokio::spawn(async move { commit_new(&engine, types, 1).await })
        })
        .collect();
    let mut observer = place.session().await;
    while count(&mut observer, true).await < 3 {}
    run(&mut session, "ROLLBACK").await;
    for written in writing {
        written.await?;
    }
    assert_eq!(count(&mut observer, false).await, 3);
    Ok(())
}

/// How many connections the engine has, or how many of them wait for somebody.
async fn count(observer: &mut PgConnection, only_waiting: bool) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'
        AND datname = current_database() AND (NOT $1 OR cardinality(pg_blocking_pids(pid)) > 0)";
    sqlx::query_scalar(count).bind(only_waiting).fetch_one(observer).await.expect("a count")
}

#[tokio::test]
async fn a_user_who_is_refused_is_an_error_that_stays_and_shows_no_password() -> TestResult {
    let place = Place::new().await;
    let url = place.url_as("nobody", "s3cret");
    let builder = PostgresEngine::builder().url(&url);
    assert!(!format!("{builder:?}").contains("s3cret"));
    let error = refused(builder.connect().await);
    assert!(!error.is_temporary());
    assert_eq!(error.kind(), EngineErrorKind::Misconfigured);
    assert!(!format!("{error:?} {error} {}", reason(&error)).contains("s3cret"));
    assert!(!format!("{:?}", place.engine().await).contains("postgres://"));
    Ok(())
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_an_error_that_stays() -> TestResult {
    let place = Place::new().await;
    let url = place.url().replace(place.database(), "there_is_no_such_database");
    let error = refused(PostgresEngine::connect(&url).await);
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    assert!(!error.is_temporary());
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_temporary_error() -> TestResult {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("postgres://app:s3cret@{}/app", listener.local_addr()?);
    let silent = PostgresEngine::builder().url(&url).connect_timeout(Duration::from_millis(200));
    let error = refused(silent.connect().await);
    assert_eq!(error.kind(), EngineErrorKind::Timeout, "it takes the connection and says nothing");

    drop(listener);
    let error = refused(PostgresEngine::connect(&url).await);
    assert_eq!(error.kind(), EngineErrorKind::ConnectionLost);
    assert!(error.is_temporary());
    assert!(!format!("{error:?} {}", reason(&error)).contains("s3cret"));
    Ok(())
}

#[tokio::test]
async fn what_is_no_url_or_no_name_is_an_error() {
    for url in ["", "postgres", "mysql://localhost/app", "postgres://app:s3cret@localhost:port/app"] {
        let error = refused(PostgresEngine::connect(url).await);
        assert_eq!(reason(&error), "the URL is not of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE");
    }
    let error =
        refused(PostgresEngine::builder().url("postgres://localhost/app").schema("a\"b").connect().await);
    assert!(reason(&error).contains("cannot be the name of a schema"));
    assert!(PostgresEngine::migrations_sql("a; DROP").is_err());
}

#[tokio::test]
async fn the_search_path_plays_no_role() -> TestResult {
    let place = Place::new().await;
    let mut session = place.session().await;
    let database = place.database();
    run(&mut session, format!("ALTER DATABASE {database} SET search_path TO nowhere")).await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    engine.commit(&create(types, id, "john")).await.expect("a commit");
    assert_eq!(load(&engine, id).await.map(|found| found.events.len()), Some(1));
    assert_eq!(log(&engine).await.len(), 1);
    Ok(())
}
