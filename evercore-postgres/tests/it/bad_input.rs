//! What errors say: what went wrong, where, why, and what to do.

use std::{error::Error, time::Duration};

use evercore::engine::{CommitError, EngineError, EngineErrorKind, StorageEngine};
use evercore_postgres::PostgresEngine;
use sqlx::PgConnection;

use crate::fixtures::{Place, TestResult, append, commit_new, create, define, load, new_id, run};

/// The error and all its sources, as a program shows them.
fn told(error: &EngineError) -> String {
    format!("{error:?}")
}

async fn refused(place: &Place) -> EngineError {
    PostgresEngine::connect(&place.url()).await.expect_err("it does not open")
}

#[tokio::test]
async fn a_wrong_password_is_told_with_the_server_and_the_user_and_without_the_password() -> TestResult {
    let place = Place::new().await;
    let role = format!("role{}", place.database().replace('_', ""));
    run(&mut place.session().await, format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'")).await;
    let error = PostgresEngine::connect(&place.url_as(&role, "s3cret")).await.expect_err("it is refused");
    run(&mut place.session().await, format!("DROP ROLE {role}")).await;
    assert_eq!(error.kind(), EngineErrorKind::Misconfigured);
    let told = told(&error);
    for part in
        ["postgres cannot open the store", ":", place.database(), &role, "password authentication failed"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("s3cret"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_missing_database_is_told_with_its_name() -> TestResult {
    let place = Place::new().await;
    let url = place.url().replace(place.database(), "there_is_none");
    let error = PostgresEngine::connect(&url).await.expect_err("there is none");
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    assert!(told(&error).contains("\"there_is_none\" does not exist"), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_its_address() -> TestResult {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let url = format!("postgres://app:s3cret@{address}/app");
    let builder = PostgresEngine::builder().url(&url).connect_timeout(Duration::from_millis(100));
    let silent = builder.clone().connect().await.expect_err("it says nothing");
    drop(listener);
    let gone = builder.connect().await.expect_err("nobody is there");
    assert_eq!((silent.kind(), gone.kind()), (EngineErrorKind::Timeout, EngineErrorKind::ConnectionLost));
    for error in [silent, gone] {
        assert!(error.is_temporary() && told(&error).contains(&address), "{error:?}");
        assert!(!told(&error).contains("s3cret"), "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_schema_is_told_with_the_ways_to_make_it() -> TestResult {
    let place = Place::new().await;
    let opened = PostgresEngine::builder().url(&place.url()).without_migration().connect().await;
    let error = opened.expect_err("there is no store");
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    for way in ["without_migration", "PostgresEngine::migrate", "PostgresEngine::migrations_sql"] {
        assert!(told(&error).contains(way), "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_schema_that_is_gone_is_told_by_each_operation() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    run(&mut place.session().await, "DROP SCHEMA evercore CASCADE").await;
    let Err(CommitError::Engine(commit)) = engine.commit(&append(types, id, 0, 1)).await else {
        panic!("nothing is written for certain")
    };
    for error in [Some(commit), engine.types().await.err(), engine.head().await.err()] {
        let error = error.ok_or("it fails")?;
        assert_eq!(error.kind(), EngineErrorKind::Incompatible);
        assert!(told(&error).contains("evercore"), "{error:?}");
    }
    Ok(())
}

/// As when somebody applies the steps one by one, without a transaction, and does not notice that one has failed.
#[tokio::test]
async fn a_schema_that_is_half_migrated_is_completed_or_told_with_the_step_that_fails() -> TestResult {
    let place = Place::new().await;
    let mut session = place.session().await;
    for step in [
        "CREATE SCHEMA {schema}",
        include_str!("../../sql/create_migrations_table.sql"),
        include_str!("../../migrations/0001_event_store.sql"),
        "INSERT INTO {schema}.migrations (version, name) VALUES (1, 'event store')",
    ] {
        run(&mut session, step.replace("{schema}", "evercore")).await;
    }
    let builder = PostgresEngine::builder().url(&place.url());
    let error = builder.clone().without_migration().connect().await.expect_err("it is an older schema");
    assert!(told(&error).contains("version 1 and must be migrated to"), "{error:?}");
    let engine = builder.connect().await?;
    commit_new(&engine, define(&engine).await, 1).await;

    run(&mut session, "DELETE FROM evercore.migrations WHERE version > 1").await;
    let error = refused(&place).await;
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    for part in [
        "step 2 of the migrations (commit) failed in the schema evercore",
        "already exists",
        "complete it by hand",
    ] {
        assert!(told(&error).contains(part), "{part}: {error:?}");
    }
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM evercore.migrations").fetch_one(&mut session).await?;
    assert_eq!(left, 1, "nothing was changed");
    Ok(())
}

#[tokio::test]
async fn a_table_that_was_altered_is_told_when_the_store_is_opened() -> TestResult {
    for (alter, expected) in [
        ("ALTER TABLE evercore.aggregates RENAME TO elsewhere", "there is no table aggregates"),
        ("ALTER TABLE evercore.events DROP COLUMN reference CASCADE", "there is no column events.reference"),
        ("ALTER TABLE evercore.events RENAME payload TO body", "there is no column events.payload"),
        (
            "ALTER TABLE evercore.snapshots ALTER payload TYPE text USING ''",
            "the column snapshots.payload has the type text instead of bytea",
        ),
        ("DROP INDEX evercore.aggregates_natural_key", "there is no unique index aggregates_natural_key"),
        (
            "ALTER TABLE evercore.idempotency_keys DROP CONSTRAINT idempotency_keys_key",
            "there is no unique index idempotency_keys_key",
        ),
        (
            "ALTER TABLE evercore.events DROP CONSTRAINT events_sequence_is_unique",
            "there is no unique index events_sequence_is_unique",
        ),
    ] {
        let place = Place::new().await;
        drop(place.engine().await);
        run(&mut place.session().await, alter).await;
        let without_migration = PostgresEngine::builder().url(&place.url()).without_migration();
        for error in [refused(&place).await, without_migration.connect().await.expect_err("it is refused")] {
            assert_eq!(error.kind(), EngineErrorKind::Incompatible, "{error:?}");
            assert!(error.source().is_some_and(|source| source.to_string().contains(expected)), "{error:?}");
            assert!(
                told(&error).contains("the schema evercore is not as the migrations made it"),
                "{error:?}"
            );
        }
    }
    Ok(())
}

/// Nobody looks at the tables again while the store is open.
#[tokio::test]
async fn a_table_that_is_altered_under_an_open_store_is_an_error_and_nothing_is_written() -> TestResult {
    for (alter, undo) in [
        ("RENAME reference TO note", "RENAME note TO reference"),
        ("ALTER codec TYPE boolean USING true", "ALTER codec TYPE smallint USING 1"),
        ("ADD mine integer NOT NULL", "DROP mine"),
    ] {
        let place = Place::new().await;
        let engine = place.engine().await;
        let types = define(&engine).await;
        let id = new_id(&engine).await;
        let mut session = place.session().await;
        run(&mut session, "DROP VIEW evercore.event_log").await;
        run(&mut session, format!("ALTER TABLE evercore.events {alter}")).await;
        let answer = engine.commit(&append(types, id, 0, 1)).await;
        let Err(CommitError::Engine(error)) = answer else { panic!("nothing is written: {answer:?}") };
        assert!(!error.is_temporary() && told(&error).contains("column"), "{error:?}");
        run(&mut session, format!("ALTER TABLE evercore.events {undo}")).await;
        assert_eq!(load(&engine, id).await, None);
        engine.commit(&append(types, id, 0, 1)).await.expect("the engine goes on");
    }
    Ok(())
}

/// Whoever commits from here on is stopped by this.
async fn stop_commits_by(session: &mut PgConnection, statement: &str) {
    let function = format!(
        "CREATE TABLE orders (number integer CONSTRAINT orders_number PRIMARY KEY); INSERT INTO orders VALUES (7);
        CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN NEW; END $$;
        CREATE TRIGGER stop BEFORE INSERT ON evercore.events FOR EACH ROW EXECUTE FUNCTION stop()"
    );
    run(session, function).await;
}

/// Each is known by what the server says, and none is taken for what the store itself refuses.
#[tokio::test]
async fn a_commit_that_the_server_stops_is_told_by_kind_and_writes_nothing() -> TestResult {
    for (statement, kind) in [
        (
            "RAISE 'could not extend file: no space left' USING ERRCODE = 'disk_full'",
            EngineErrorKind::StorageFull,
        ),
        ("RAISE 'deadlock' USING ERRCODE = 'deadlock_detected'", EngineErrorKind::Busy),
        ("RAISE 'cancelled' USING ERRCODE = 'query_canceled'", EngineErrorKind::Timeout),
        ("RAISE 'read only' USING ERRCODE = 'read_only_sql_transaction'", EngineErrorKind::ReadOnly),
        // Another table's constraint: not a natural key that is taken, and not a damaged store.
        ("INSERT INTO orders VALUES (7)", EngineErrorKind::Other),
    ] {
        let place = Place::new().await;
        let engine = place.engine().await;
        let types = define(&engine).await;
        let id = new_id(&engine).await;
        let mut session = place.session().await;
        stop_commits_by(&mut session, statement).await;
        let answer = engine.commit(&create(types, id, "john")).await;
        let Err(CommitError::Engine(error)) = answer else { panic!("{statement}: {answer:?}") };
        assert_eq!(error.kind(), kind, "{statement}");
        assert_eq!(error.is_temporary(), matches!(kind, EngineErrorKind::Busy | EngineErrorKind::Timeout));
        run(&mut session, "DROP FUNCTION stop CASCADE").await;
        assert_eq!(load(&engine, id).await, None);
        engine.commit(&create(types, id, "john")).await.expect("the engine goes on");
    }
    Ok(())
}

#[tokio::test]
async fn a_violated_constraint_of_the_store_is_damage() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    engine.commit(&append(types, id, 0, 2)).await.expect("a commit");
    // Somebody sets back the version of an aggregate, whose events stay.
    run(&mut place.session().await, "UPDATE evercore.aggregates SET version = 1").await;
    let answer = engine.commit(&append(types, id, 1, 1)).await;
    let Err(CommitError::Engine(error)) = answer else { panic!("it is no conflict: {answer:?}") };
    assert_eq!(error.kind(), EngineErrorKind::Corrupt);
    assert!(told(&error).contains("events_sequence_is_unique"), "{error:?}");
    Ok(())
}

/// The engine knows its constraints by their names.
#[tokio::test]
async fn all_constraints_of_the_store_are_known() -> TestResult {
    let place = Place::new().await;
    drop(place.engine().await);
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT conname::text FROM pg_constraint WHERE connamespace = 'evercore'::regnamespace AND contype IN ('p', 'u', 'f', 'c')
        UNION SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
            WHERE indisunique AND relnamespace = 'evercore'::regnamespace",
    )
    .fetch_all(&mut place.session().await)
    .await?;
    let known = include_str!("../../src/error.rs");
    for name in names {
        assert!(known.contains(&format!("\"{name}\"")), "{name}");
    }
    Ok(())
}

/// What cannot be read is no fault of the connection.
#[tokio::test]
async fn an_event_that_cannot_be_read_costs_no_connection() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    commit_new(&engine, types, 1).await;
    let mut session = place.session().await;
    run(&mut session, "UPDATE evercore.events SET time = 'infinity'").await;
    let sessions = "SELECT coalesce(array_agg(pid ORDER BY pid), '{}') FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    let before: Vec<i32> = sqlx::query_scalar(sessions).fetch_one(&mut session).await?;
    let read = evercore::engine::LogRead {
        after: evercore::Position::START,
        limit: 10,
        filter: evercore::engine::EventFilter::default(),
    };
    let error = engine.read_log(&read).await.expect_err("it cannot be read");
    assert_eq!(error.kind(), EngineErrorKind::Corrupt);
    engine.types().await?;
    let after: Vec<i32> = sqlx::query_scalar(sessions).fetch_one(&mut session).await?;
    assert_eq!(before, after);
    Ok(())
}
