//! A role without the right to create tables.

use std::time::Duration;

use evercore::{
    Fingerprint, Payload, Position, Sequence,
    engine::{
        Checkpoint, Claim, CommitOutcome, EngineErrorKind, Expected, Idempotency, KeyChange, LoadedSnapshot,
        NewFailedDelivery, NewSnapshot, NewSubscription, OwnerError, Renewal, StorageEngine,
        SubscriptionChange, SubscriptionEngine, Timestamp, TransactionalEngine, TypeNames,
    },
};
use evercore_postgres::PostgresEngine;
use sqlx::AssertSqlSafe;

use crate::fixtures::{Place, TestResult, append, create, define, key, load, log, new_id, run};

/// The grants of the documentation.
const GRANTS: &str = include_str!("../../sql/grants.sql");

const HOUR: Duration = Duration::from_secs(3600);

/// Makes a schema, and a role that may do in it what the statements grant.
async fn place_with_role(grants: &str) -> (Place, String) {
    let place = Place::new().await;
    let role = format!("role{}", place.database().replace('_', ""));
    let mut session = place.session().await;
    run(&mut session, PostgresEngine::migrations_sql("evercore").expect("a name")).await;
    run(&mut session, format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'")).await;
    run(&mut session, grants.replace("{schema}", "evercore").replace("{role}", &role)).await;
    let url = place.url_as(&role, "secret");
    (place, url)
}

/// Roles belong to the server, not to the database.
async fn drop_role(place: &Place) {
    let role = format!("role{}", place.database().replace('_', ""));
    run(&mut place.session().await, format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn the_documented_grants_are_enough_for_everything() -> TestResult {
    let (place, url) = place_with_role(GRANTS).await;
    // Without what everybody may do by default, and some databases forbid.
    let revoke = "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA evercore FROM PUBLIC";
    run(&mut place.session().await, revoke).await;
    drop(PostgresEngine::connect(&url).await?);
    let engine = PostgresEngine::builder().url(&url).without_migration().connect().await?;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut changes = create(types, id, "john");
    changes.idempotency = Some(Idempotency { key: "once".into(), receipt: "a receipt".into() });
    let snapshot = NewSnapshot {
        aggregate_id: id,
        sequence: Sequence::new(1),
        fingerprint: Fingerprint::new(1),
        payload: Payload::encode("state")?,
    };
    changes.snapshots.push(snapshot);
    engine.commit(&changes).await.expect("a commit");
    let repeated = engine.commit(&changes).await.expect("an answer");
    assert!(matches!(repeated, CommitOutcome::Repeated(_)), "{repeated:?}");

    assert!(engine.find_commit("once").await?.is_some());

    let mut renamed = append(types, id, 1, 1);
    renamed.aggregates[0].key = KeyChange::Set { from: Some(key("john")), to: key("jane") };
    engine.commit(&renamed).await.expect("a commit");
    let mut required = append(types, id, 2, 0);
    assert_eq!(required.aggregates[0].expected, Expected::At(Sequence::new(2)));
    required.snapshots = vec![];
    engine.commit(&required).await.expect("a commit");

    let within = new_id(&engine).await;
    // A gap, where readers look up who is appending.
    let mut gap = engine.begin().await?;
    engine.commit_in(&append(types, within, 0, 1), &mut gap).await.expect("it is written");
    gap.rollback().await?;
    let mut transaction = engine.begin().await?;
    engine.commit_in(&append(types, within, 0, 1), &mut transaction).await.expect("it is written");
    engine.finish(transaction).await?;

    let loaded = load(&engine, id).await.ok_or("it exists")?;
    assert!(matches!(loaded.snapshot, LoadedSnapshot::Found(_)));
    assert_eq!(engine.find_by_key(types.user, &key("jane")).await?, Some(id));
    assert_eq!(engine.aggregate_ids(types.user, None, 10).await?, [id, within]);
    assert_eq!(log(&engine).await.len(), 3);
    let late = Timestamp::from_micros(4_000_000_000_000_000).ok_or("a time")?;
    assert_eq!(engine.locate(late).await?, Position::new(4));
    assert_eq!(engine.forget_keys(late).await?, 1);
    let seen: i64 =
        sqlx::query_scalar("SELECT count(*) FROM evercore.event_log").fetch_one(engine.pool()).await?;
    assert_eq!(seen, 3);
    subscribe(&engine).await.map_err(|error| format!("{error:?}"))?;
    engine.close().await?;
    drop_role(&place).await;
    Ok(())
}

/// Does with a subscription whatever can be done.
async fn subscribe(engine: &PostgresEngine) -> Result<(), OwnerError> {
    engine.define_subscription(&definition()).await?;
    let Claim::Claimed(own) = engine.claim_subscription("orders", "one", HOUR).await? else {
        panic!("it is not claimed")
    };
    let (name, token) = (own.name, own.token);
    engine.renew_leases(&[Renewal { name: name.clone(), token, lease: HOUR }]).await?;
    let delivery = NewFailedDelivery { position: Position::new(1), attempts: 1, error: "of no use".into() };
    let (from, to, failed) = (Position::START, Position::new(1), vec![delivery.clone(), delivery]);
    let mut step = Checkpoint { name, token, from, to, anchor: None, failed };
    engine.checkpoint(&step).await?;
    (step.from, step.to) = (step.to, Position::new(2));
    let mut transaction = engine.begin().await?;
    engine.checkpoint_in(&step, &mut transaction).await?;
    engine.finish(transaction).await?;
    assert_eq!(engine.failed_deliveries("orders", Position::START, 10).await?.len(), 1);
    assert!(engine.drop_failed_delivery("orders", Position::new(1)).await?);
    engine.release_subscription("orders", token, None).await?;
    for change in [SubscriptionChange::Pause, SubscriptionChange::Resume, SubscriptionChange::Delete] {
        assert!(engine.change_subscription("orders", &change, None).await?.is_some());
    }
    Ok(())
}

fn definition() -> NewSubscription {
    NewSubscription { name: "orders".into(), filter: String::new(), cursor: Position::START }
}

#[tokio::test]
async fn they_are_not_more_than_needed() -> TestResult {
    let (place, url) = place_with_role(GRANTS).await;
    let pool = sqlx::PgPool::connect(&url).await?;
    for statement in [
        "DELETE FROM evercore.events",
        "UPDATE evercore.events SET payload = ''",
        "TRUNCATE evercore.snapshots",
        "UPDATE evercore.event_types SET name = 'other'",
        "DELETE FROM evercore.aggregates",
        "SELECT setval('evercore.events_position', 1)",
        "SELECT setval('evercore.subscription_tokens', 1)",
        "CREATE TABLE evercore.mine (number bigint)",
        "INSERT INTO evercore.migrations (version, name) VALUES (9, 'mine')",
    ] {
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await;
        let error = done.expect_err(statement);
        let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}");
    }
    pool.close().await;
    drop_role(&place).await;
    Ok(())
}

#[tokio::test]
async fn a_role_that_only_reads_can_open_the_store_and_read() -> TestResult {
    let grants =
        "GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};
        GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}";
    let (place, url) = place_with_role(grants).await;
    let writer = place.engine().await;
    let types = define(&writer).await;
    let id = new_id(&writer).await;
    let mut gap = writer.begin().await?;
    writer.commit_in(&append(types, id, 0, 1), &mut gap).await.expect("it is written");
    gap.rollback().await?;
    writer.commit(&create(types, id, "john")).await.expect("a commit");
    let defined = writer.define_subscription(&definition()).await?;

    let engine = PostgresEngine::connect(&url).await?;
    define(&engine).await;
    assert_eq!(load(&engine, id).await.map(|found| found.events.len()), Some(1));
    assert_eq!(log(&engine).await.len(), 1);
    let unknown = TypeNames { aggregates: vec!["other".into()], events: vec![] };
    let error = engine.define_types(&unknown).await.expect_err("it cannot write");
    assert_eq!(error.kind(), EngineErrorKind::ReadOnly);
    assert_eq!(engine.reserve_ids(1).await.expect_err("it cannot write").kind(), EngineErrorKind::ReadOnly);
    assert_eq!(engine.define_subscription(&definition()).await?, defined);
    assert_eq!(engine.subscriptions(None).await?.subscriptions, [defined]);
    let other = NewSubscription { name: "other".into(), ..definition() };
    let error = engine.define_subscription(&other).await.expect_err("it cannot write");
    assert_eq!(error.kind(), EngineErrorKind::ReadOnly);
    let error = engine.claim_subscription("orders", "one", HOUR).await.expect_err("it cannot write");
    assert_eq!(error.kind(), EngineErrorKind::ReadOnly);
    engine.close().await?;
    drop_role(&place).await;
    Ok(())
}
