//! Answers that do not come in time.

use std::time::Duration;

use evercore::engine::{CommitError, EngineErrorKind, StorageEngine, TransactionalEngine};
use evercore_postgres::{PostgresEngine, PostgresEngineBuilder};
use sqlx::PgConnection;

use crate::fixtures::{Place, TestResult, append, commit_new, define, load, new_id, run};

fn impatient(place: &Place) -> PostgresEngineBuilder {
    PostgresEngine::builder().url(&place.url()).statement_timeout(Duration::from_millis(300))
}

/// Long enough for the server to give up first, also on a busy machine.
fn patient(place: &Place) -> PostgresEngineBuilder {
    impatient(place).statement_timeout(Duration::from_millis(1_600))
}

/// How many sessions of the database wait for a lock.
async fn waiting(session: &mut PgConnection) -> i64 {
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";
    sqlx::query_scalar(waiting).fetch_one(session).await.expect("a count")
}

/// From here on whoever appends waits as long as this session has the lock 7, whatever its settings are; `when` it does.
async fn appending_waits(session: &mut PgConnection, when: &str) {
    let wait = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM set_config('lock_timeout', '0', true);
            PERFORM pg_advisory_xact_lock_shared(7);
            RETURN NULL;
        END $$;
        SELECT pg_advisory_lock(7)";
    run(session, wait).await;
    let (constraint, when) = match when {
        "at once" => ("", ""),
        _ => ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED"),
    };
    let trigger = format!(
        "CREATE {constraint} TRIGGER wait AFTER INSERT ON evercore.events {when} FOR EACH ROW EXECUTE FUNCTION wait()"
    );
    run(session, trigger).await;
}

#[tokio::test]
async fn a_commit_that_waits_for_a_lock_is_ended_in_time_with_nothing_written() -> TestResult {
    let place = Place::new().await;
    for builder in [patient(&place), patient(&place).without_prepared_statements()] {
        let engine = builder.connect().await?;
        let types = define(&engine).await;
        let (known, new) = (new_id(&engine).await, new_id(&engine).await);
        engine.commit(&append(types, known, 0, 1)).await.expect("a commit");
        let (mut busy, mut session) = (place.session().await, place.session().await);
        for lock in ["SELECT FROM evercore.aggregates FOR UPDATE", "LOCK TABLE evercore.aggregates"] {
            run(&mut busy, format!("BEGIN; {lock}")).await;
            let answer = engine.commit(&append(types, known, 1, 1)).await;
            let Err(CommitError::Engine(error)) = answer else { panic!("nothing is written: {answer:?}") };
            assert!(error.is_temporary(), "{error:?}");
            assert_eq!(waiting(&mut session).await, 0, "the server has given up, too");
            run(&mut busy, "COMMIT").await;
            assert_eq!(load(&engine, known).await.map(|found| found.version.get()), Some(1));
        }
        engine.commit(&append(types, new, 0, 1)).await.expect("the connection is of use");
    }
    Ok(())
}

#[tokio::test]
async fn a_commit_that_takes_too_long_otherwise_is_of_unknown_outcome() -> TestResult {
    let place = Place::new().await;
    let engine = impatient(&place).connect().await?;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut busy = place.session().await;
    appending_waits(&mut busy, "at once").await;
    let answer = engine.commit(&append(types, id, 0, 1)).await;
    assert!(
        matches!(&answer, Err(CommitError::OutcomeUnknown(error)) if error.kind() == EngineErrorKind::Timeout),
        "{answer:?}"
    );
    run(&mut busy, "SELECT pg_advisory_unlock(7)").await;
    let version = loop {
        // The server goes on with the commit.
        if let Some(found) = load(&engine, id).await {
            break found.version;
        }
    };
    assert_eq!(version.get(), 1);
    Ok(())
}

#[tokio::test]
async fn without_prepared_statements_the_server_ends_whatever_takes_too_long() -> TestResult {
    let place = Place::new().await;
    let engine = patient(&place).without_prepared_statements().connect().await?;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut busy = place.session().await;
    appending_waits(&mut busy, "at once").await;
    let answer = engine.commit(&append(types, id, 0, 1)).await;
    assert!(
        matches!(&answer, Err(CommitError::Engine(error)) if error.kind() == EngineErrorKind::Timeout),
        "{answer:?}"
    );
    assert_eq!(waiting(&mut busy).await, 0);
    run(&mut busy, "SELECT pg_advisory_unlock(7)").await;
    assert_eq!(load(&engine, id).await, None);
    engine.commit(&append(types, id, 0, 1)).await.expect("the engine goes on");
    Ok(())
}

#[tokio::test]
async fn reading_that_takes_too_long_is_a_timeout() -> TestResult {
    let place = Place::new().await;
    let engine = impatient(&place).connect().await?;
    let types = define(&engine).await;
    let mut busy = place.session().await;
    run(&mut busy, "BEGIN; LOCK TABLE evercore.aggregates").await;
    let error = engine.aggregate_ids(types.user, None, 1).await.expect_err("nobody answers");
    assert_eq!(error.kind(), EngineErrorKind::Timeout);
    assert!(error.is_temporary());
    run(&mut busy, "COMMIT").await;
    commit_new(&engine, types, 1).await;
    Ok(())
}

#[tokio::test]
async fn a_transaction_of_the_application_is_not_waited_for_either() -> TestResult {
    let place = Place::new().await;
    let engine = impatient(&place).connect().await?;
    let types = define(&engine).await;
    let mut busy = place.session().await;
    for when in ["at once", "when it commits"] {
        appending_waits(&mut busy, when).await;
        let id = new_id(&engine).await;
        let mut transaction = engine.begin().await?;
        let written = engine.commit_in(&append(types, id, 0, 1), &mut transaction).await;
        if when == "at once" {
            assert!(
                matches!(&written, Err(CommitError::Engine(error)) if error.kind() == EngineErrorKind::Timeout),
                "{written:?}"
            );
            let rolling_back = tokio::spawn(transaction.rollback());
            run(&mut busy, "SELECT pg_advisory_unlock(7)").await;
            rolling_back.await??;
            assert_eq!(load(&engine, id).await, None);
            run(&mut busy, "DROP FUNCTION wait CASCADE").await;
        } else {
            written.expect("it is written");
            let error = engine.finish(transaction).await.expect_err("nobody answers");
            // It may have been committed, so that nobody must do it again blindly.
            assert!(!error.is_temporary(), "{error:?}");
            run(&mut busy, "SELECT pg_advisory_unlock(7)").await;
            while load(&engine, id).await.is_none() {}
        }
    }
    Ok(())
}

#[tokio::test]
async fn limits_of_the_application_stay_as_they_are() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    for limit in ["0", "1234ms"] {
        let id = new_id(&engine).await;
        let mut transaction = engine.begin().await?;
        run(&mut transaction, format!("SET LOCAL lock_timeout = '{limit}'")).await;
        engine.commit_in(&append(types, id, 0, 1), &mut transaction).await.expect("it is written");
        let shown: String = sqlx::query_scalar("SHOW lock_timeout").fetch_one(&mut *transaction).await?;
        assert_eq!(shown, limit);
        engine.finish(transaction).await?;
    }
    let mut busy = place.session().await;
    run(&mut busy, "BEGIN; LOCK TABLE evercore.aggregates").await;
    let id = new_id(&engine).await;
    let mut transaction = engine.begin().await?;
    run(&mut transaction, "SET LOCAL lock_timeout = '10ms'").await;
    let refused = engine.commit_in(&append(types, id, 0, 1), &mut transaction).await;
    assert!(
        matches!(&refused, Err(CommitError::Engine(error)) if error.kind() == EngineErrorKind::Busy),
        "{refused:?}"
    );
    transaction.rollback().await?;
    Ok(())
}

#[tokio::test]
async fn a_new_connection_that_is_not_answered_is_a_timeout() -> TestResult {
    let place = Place::new().await;
    drop(place.engine().await);
    let mut busy = place.session().await;
    let builder = PostgresEngine::builder().url(&place.url()).statement_timeout(Duration::from_millis(200));
    for table in ["events", "migrations"] {
        run(&mut busy, format!("BEGIN; LOCK TABLE evercore.{table}")).await;
        for builder in [builder.clone(), builder.clone().without_migration()] {
            let error = builder.connect().await.expect_err("nobody answers");
            assert_eq!(error.kind(), EngineErrorKind::Timeout);
        }
        run(&mut busy, "ROLLBACK").await;
    }
    Ok(())
}
