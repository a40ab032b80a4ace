//! Connections that break, and answers that do not come.

use std::sync::Arc;

use evercore::{
    Position,
    engine::{CommitError, EngineErrorKind, StorageEngine, Timestamp, TransactionalEngine},
};
use evercore_postgres::PostgresEngine;

use crate::fixtures::{Place, TestResult, append, commit_new, define, load, new_id, run};

/// Ends all other sessions of the database.
pub(crate) const END_SESSIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'evercore'";

#[tokio::test]
async fn a_commit_whose_connection_breaks_is_of_unknown_outcome() -> TestResult {
    let place = Place::new().await;
    let engine = Arc::new(place.engine().await);
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    engine.commit(&append(types, id, 0, 1)).await.expect("a commit");
    let (mut busy, mut session) = (place.session().await, place.session().await);
    run(&mut busy, "BEGIN; SELECT * FROM evercore.aggregates FOR UPDATE").await;
    let committing = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.commit(&append(types, id, 1, 1)).await })
    };
    let blocked = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";
    while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&mut session).await? == 0 {}
    run(&mut session, END_SESSIONS).await;
    let answer = committing.await?;
    assert!(
        matches!(&answer, Err(CommitError::OutcomeUnknown(error)) if error.kind() == EngineErrorKind::ConnectionLost),
        "{answer:?}"
    );

    run(&mut busy, "COMMIT").await;
    engine.commit(&append(types, id, 1, 1)).await.expect("the engine goes on");
    Ok(())
}

#[tokio::test]
async fn a_transaction_whose_connection_breaks_is_not_to_be_tried_again_blindly() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut transaction = engine.begin().await?;
    engine.commit_in(&append(types, id, 0, 1), &mut transaction).await.expect("it is written");
    run(&mut place.session().await, END_SESSIONS).await;
    let error = engine.finish(transaction).await.expect_err("the connection is gone");
    assert!(!error.is_temporary(), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn connections_that_broke_while_idle_are_replaced() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    commit_new(&engine, types, 1).await;
    run(&mut place.session().await, END_SESSIONS).await;
    let error = engine.types().await.expect_err("the connection is gone");
    assert_eq!(error.kind(), EngineErrorKind::ConnectionLost);
    assert!(error.is_temporary());
    engine.types().await?;
    commit_new(&engine, types, 1).await;
    Ok(())
}

/// There is no way to see in advance that the server has closed a connection, and what it says then a pooler says
/// of commits that were under way, too. Where a transaction begins first, nothing was written before that.
#[tokio::test]
async fn a_commit_on_a_connection_that_broke_while_idle_is_in_doubt_or_made_on_another() -> TestResult {
    let place = Place::new().await;
    let builder = PostgresEngine::builder().url(&place.url());
    for (builder, is_made) in [(builder.clone(), false), (builder.without_prepared_statements(), true)] {
        let engine = builder.connect().await?;
        let types = define(&engine).await;
        let id = new_id(&engine).await;
        run(&mut place.session().await, END_SESSIONS).await;
        let answer = engine.commit(&append(types, id, 0, 1)).await;
        match is_made {
            true => drop(answer.expect("it is made")),
            false => assert!(matches!(answer, Err(CommitError::OutcomeUnknown(_))), "{answer:?}"),
        }
        assert_eq!(load(&engine, id).await.is_some(), is_made);
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_read_only() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    commit_new(&engine, types, 1).await;
    let database = place.database();
    let set = format!("ALTER DATABASE {database} SET default_transaction_read_only TO on");
    run(&mut place.session().await, set).await;
    let engine = place.engine().await;
    let error = engine.reserve_ids(1).await.expect_err("it takes no writes");
    assert_eq!(error.kind(), EngineErrorKind::ReadOnly);
    define(&engine).await;
    assert_eq!(crate::fixtures::log(&engine).await.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_table_that_is_gone_is_incompatible() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    run(&mut place.session().await, "ALTER TABLE evercore.aggregates RENAME TO elsewhere").await;
    let error = engine.aggregate_ids(types.user, None, 1).await.expect_err("there is no such table");
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    Ok(())
}

#[tokio::test]
async fn another_store_behind_the_same_address_is_not_used() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    define(&engine).await;
    run(&mut place.session().await, "DROP SCHEMA evercore CASCADE").await;
    define(&place.engine().await).await;
    run(&mut place.session().await, END_SESSIONS).await;
    engine.types().await.expect_err("the connection is gone");
    let error = engine.types().await.expect_err("it is another store");
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    Ok(())
}

/// As after a change of the schema, or behind a pooler that hands out other sessions.
#[tokio::test]
async fn a_connection_that_lost_its_statements_is_replaced() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    engine.find_commit("order-7").await?;
    let alter = "ALTER TABLE evercore.idempotency_keys ALTER receipt TYPE varchar";
    run(&mut place.session().await, alter).await;
    // The server does not run the statement with a result of another type on this connection any more.
    engine.find_commit("order-7").await.expect_err("the statement is of no use");
    engine.find_commit("order-7").await?;
    commit_new(&engine, types, 1).await;
    Ok(())
}

#[tokio::test]
async fn times_that_the_server_does_not_know_are_never_stored_as_others() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    commit_new(&engine, types, 1).await;
    let ancient = Timestamp::from_micros(-8_000_000_000_000_000_000).ok_or("a time")?;
    let far = Timestamp::from_micros(8_200_000_000_000_000_000).ok_or("a time")?;
    assert_eq!(engine.locate(ancient).await?, Position::START);
    assert_eq!(engine.locate(far).await?, Position::new(1));
    assert_eq!(engine.forget_keys(ancient).await?, 0);
    for (time, is_known) in [(ancient, false), (far, true)] {
        let id = new_id(&engine).await;
        let mut changes = append(types, id, 0, 1);
        changes.events[0].time = time;
        let answer = engine.commit(&changes).await;
        let loaded = load(&engine, id).await;
        match is_known {
            true => assert_eq!(loaded.map(|loaded| loaded.events[0].time), Some(time)),
            false => {
                assert!(matches!(answer, Err(CommitError::Engine(_))), "{answer:?}");
                assert_eq!(loaded, None);
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_no_answer_to_others() -> TestResult {
    let place = Place::new().await;
    let one = std::num::NonZero::new(1).ok_or("it is not zero")?;
    let engine = PostgresEngine::builder().url(&place.url()).pool_size(one).connect().await?;
    let types = define(&engine).await;
    let (given_up, other) = (new_id(&engine).await, new_id(&engine).await);
    engine.commit(&append(types, given_up, 0, 1)).await.expect("a commit");
    engine.commit(&append(types, other, 0, 2)).await.expect("a commit");
    for polls in 1..8 {
        let mut call = Box::pin(load(&engine, given_up));
        for _ in 0..polls {
            let once = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_ready()));
            if once.await {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        let found = load(&engine, other).await.ok_or("it exists")?;
        assert_eq!((found.id, found.events.len()), (other, 2));
        assert_eq!(engine.head().await?, Position::new(3));
    }
    Ok(())
}

#[tokio::test]
async fn texts_that_the_server_does_not_take_are_refused_for_certain() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut reference = append(types, id, 0, 1);
    reference.events[0].reference = Some("a\0b".into());
    let mut metadata = append(types, id, 0, 1);
    metadata.events[0].metadata = Some("\0".into());
    for changes in [reference, metadata] {
        let answer = engine.commit(&changes).await;
        assert!(matches!(answer, Err(CommitError::Engine(_))), "{answer:?}");
        assert_eq!(load(&engine, id).await, None);
    }
    assert!(engine.find_commit("a\0b").await.is_err_and(|error| !error.is_temporary()));
    engine.commit(&append(types, id, 0, 1)).await.expect("the engine goes on");
    Ok(())
}
