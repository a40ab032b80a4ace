//! Subscriptions where SQLite is special: one writer at a time, and transactions of the application.

use std::time::Duration;

use evercore::{
    AggregateId, Position, Sequence,
    engine::{
        Checkpoint, Claim, EngineErrorKind, EventIdentity, Fenced, FencingToken, NewFailedDelivery,
        NewSubscription, OwnerError, Renewal, StorageEngine, StoredSubscription, SubscriptionEngine,
        Timestamp, TransactionalEngine,
    },
};
use evercore_sqlite::SqliteEngine;

use crate::fixtures::{Place, TestResult};

const LEASE: Duration = Duration::from_secs(60);

fn new(name: &str) -> NewSubscription {
    NewSubscription { name: name.into(), filter: "all".into(), cursor: Position::START }
}

async fn define(engine: &SqliteEngine, name: &str) -> StoredSubscription {
    engine.define_subscription(&new(name)).await.expect("it is defined")
}

async fn claim(engine: &SqliteEngine, name: &str, lease: Duration) -> StoredSubscription {
    define(engine, name).await;
    match engine.claim_subscription(name, "me", lease).await.expect("a claim") {
        Claim::Claimed(claimed) => claimed,
        other => panic!("it is free: {other:?}"),
    }
}

async fn stored(engine: &SqliteEngine, name: &str) -> StoredSubscription {
    engine.subscriptions(Some(name)).await.expect("a list").subscriptions.pop().expect("it exists")
}

/// Moves from one position to the next, and skips that one.
fn step(name: &str, token: FencingToken, from: i64) -> Checkpoint {
    let to = Position::new(from + 1);
    let anchor = EventIdentity {
        position: to,
        aggregate_id: AggregateId::new(7),
        sequence: Sequence::new(from + 1),
        recorded_at: Timestamp::from_micros(1_700_000_000_000_000).expect("it is a time"),
    };
    let failed = NewFailedDelivery { position: to, attempts: 3, error: "no".into() };
    Checkpoint {
        name: name.into(),
        token,
        from: Position::new(from),
        to,
        anchor: Some(anchor),
        failed: vec![failed],
    }
}

async fn both_drivers_move_a_cursor_alike(engine: SqliteEngine) -> TestResult {
    let (direct, within) = (claim(&engine, "direct", LEASE).await, claim(&engine, "within", LEASE).await);
    for from in 0..2 {
        engine.checkpoint(&step("direct", direct.token, from)).await.expect("it moves");
        let mut transaction = engine.begin().await?;
        engine.checkpoint_in(&step("within", within.token, from), &mut transaction).await.expect("it moves");
        engine.finish(transaction).await?;
    }
    let (direct, within) = (stored(&engine, "direct").await, stored(&engine, "within").await);
    assert_eq!((direct.cursor, direct.anchor), (within.cursor, within.anchor));
    assert_eq!(direct.cursor, Position::new(2));
    for name in ["direct", "within"] {
        let failed = engine.failed_deliveries(name, Position::START, 10).await?;
        let failed: Vec<_> =
            failed.iter().map(|f| (f.position.get(), f.attempts, f.error.as_str())).collect();
        assert_eq!(failed, [(1, 3, "no"), (2, 3, "no")]);
    }
    Ok(())
}

#[tokio::test]
async fn both_drivers_move_a_cursor_alike_in_a_file() -> TestResult {
    both_drivers_move_a_cursor_alike(Place::new().engine().await).await
}

#[tokio::test]
async fn both_drivers_move_a_cursor_alike_in_memory() -> TestResult {
    both_drivers_move_a_cursor_alike(SqliteEngine::builder().connect().await?).await
}

#[tokio::test]
async fn a_refused_checkpoint_leaves_nothing_even_in_a_transaction_that_goes_on() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let claimed = claim(&engine, "s", LEASE).await;
    let mut transaction = engine.begin().await?;
    let moved = engine.checkpoint_in(&step("s", claimed.token, 5), &mut transaction).await;
    assert!(matches!(moved, Err(OwnerError::Moved(Position::START))), "{moved:?}");
    let stale = FencingToken::new(claimed.token.get() - 1);
    let fenced = engine.checkpoint_in(&step("s", stale, 0), &mut transaction).await;
    let Err(OwnerError::Fenced(Fenced::TakenOver { owner })) = fenced else { panic!("{fenced:?}") };
    assert_eq!(owner, "me");
    engine.finish(transaction).await?;
    assert_eq!(stored(&engine, "s").await, claimed);
    assert_eq!(engine.failed_deliveries("s", Position::START, 10).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_checkpoint_in_a_transaction_of_another_database_is_refused() -> TestResult {
    let (place, elsewhere) = (Place::new(), Place::new());
    let (engine, other) = (place.engine().await, elsewhere.engine().await);
    let (mine, theirs) = (claim(&engine, "s", LEASE).await, claim(&other, "s", LEASE).await);
    assert_eq!(mine.token, theirs.token);
    let mut transaction = other.begin().await?;
    let refused = engine.checkpoint_in(&step("s", mine.token, 0), &mut transaction).await;
    let Err(OwnerError::Engine(error)) = refused else { panic!("it is refused: {refused:?}") };
    assert_eq!(error.kind(), EngineErrorKind::Unsupported);
    other.finish(transaction).await?;
    assert_eq!(stored(&other, "s").await, theirs);
    Ok(())
}

// A handler that takes longer than its lease in its transaction is safe: who would take over has to write.
#[tokio::test]
async fn nobody_takes_over_while_the_owner_has_a_transaction_open() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let patience = Duration::from_millis(50);
    let other = SqliteEngine::builder().path(place.path()).busy_timeout(patience).connect().await?;
    let claimed = claim(&engine, "s", Duration::ZERO).await;
    let mut transaction = engine.begin().await?;
    let error = other.claim_subscription("s", "other", LEASE).await.expect_err("it is locked");
    assert_eq!(error.kind(), EngineErrorKind::Busy);
    engine.checkpoint_in(&step("s", claimed.token, 0), &mut transaction).await.expect("it moves");
    engine.finish(transaction).await?;

    let taken = other.claim_subscription("s", "other", LEASE).await?;
    let Claim::Claimed(taken) = taken else { panic!("its lease has expired: {taken:?}") };
    assert_eq!(taken.cursor, Position::new(1));
    let fenced = engine.checkpoint(&step("s", claimed.token, 1)).await;
    assert!(matches!(fenced, Err(OwnerError::Fenced(Fenced::TakenOver { .. }))), "{fenced:?}");
    Ok(())
}

#[tokio::test]
async fn a_lease_begins_when_the_lock_is_there() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    define(&engine, "s").await;
    let stranger = place.shell();
    stranger.execute_batch("BEGIN IMMEDIATE")?;
    let mut claiming = Box::pin(engine.claim_subscription("s", "me", LEASE));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut claiming).await;
    assert!(early.is_err(), "it waits for the lock: {early:?}");
    let freed = Timestamp::now();
    stranger.execute_batch("COMMIT")?;
    let Claim::Claimed(claimed) = claiming.await? else { panic!("it is free") };
    let expires_at = claimed.owner.ok_or("it has an owner")?.expires_at;
    assert!(expires_at.micros() >= freed.micros() + i64::try_from(LEASE.as_micros())?);
    Ok(())
}

#[tokio::test]
async fn what_changes_nothing_needs_no_lock_and_writes_nothing() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    claim(&engine, "held", LEASE).await;
    define(&engine, "free").await;
    let stranger = place.shell();
    let version = || stranger.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0));
    let before = version()?;

    let lock = place.shell();
    lock.execute_batch("BEGIN IMMEDIATE")?;
    let _listener = engine.watch();
    for _ in 0..10 {
        let held = engine.claim_subscription("held", "other", LEASE).await?;
        let Claim::Held { owner, remaining } = held else { panic!("it is held: {held:?}") };
        assert_eq!(owner, "me");
        assert!(remaining <= LEASE && remaining > LEASE / 2, "{remaining:?}");
        assert_eq!(engine.claim_subscription("unknown", "other", LEASE).await?, Claim::Unknown);
        define(&engine, "free").await;
        assert_eq!(engine.renew_leases(&[]).await?, []);
        assert_eq!(engine.subscriptions(None).await?.subscriptions.len(), 2);
    }
    lock.execute_batch("COMMIT")?;
    assert_eq!(version()?, before);
    Ok(())
}

#[tokio::test]
async fn leases_are_renewed_in_one_transaction() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let mut renewals = Vec::new();
    for name in ["a", "b", "c"] {
        let token = claim(&engine, name, Duration::ZERO).await.token;
        renewals.push(Renewal { name: name.into(), token, lease: LEASE });
    }
    let before = engine.subscriptions(None).await?.subscriptions;
    place.shell().execute_batch(
        "CREATE TRIGGER refused BEFORE UPDATE ON evercore_subscriptions WHEN new.name = 'c'
         BEGIN SELECT RAISE (ABORT, 'no'); END",
    )?;
    engine.renew_leases(&renewals).await.expect_err("one of them is refused");
    assert_eq!(engine.subscriptions(None).await?.subscriptions, before);

    place.shell().execute("DROP TRIGGER refused", [])?;
    renewals[0].token = FencingToken::new(999);
    let lost = Fenced::TakenOver { owner: "me".into() };
    assert_eq!(engine.renew_leases(&renewals).await?, [Some(lost), None, None]);
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_only_read_lists_and_changes_nothing() -> TestResult {
    let place = Place::new();
    let writing = place.engine().await;
    define(&writing, "s").await;
    let engine = SqliteEngine::builder().path(place.path()).read_only().connect().await?;
    assert_eq!(stored(&engine, "s").await, define(&engine, "s").await);
    let failures = [
        engine.claim_subscription("s", "me", LEASE).await.expect_err("nothing is claimed"),
        engine.define_subscription(&new("other")).await.expect_err("nothing is defined"),
    ];
    for error in failures {
        assert_eq!(error.kind(), EngineErrorKind::ReadOnly, "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn impossible_subscriptions_are_typed_errors() -> TestResult {
    for (damage, said) in [
        ("expires_at = 9223372036854775807", "the end of a lease"),
        ("moved_at = -9223372036854775808", "the time of a checkpoint"),
        ("filter = CAST(x'ff' AS TEXT)", "utf-8"),
        ("anchor_position = 1", "null"),
    ] {
        let place = Place::new();
        let engine = place.engine().await;
        claim(&engine, "s", LEASE).await;
        place.shell().execute_batch(&format!(
            "PRAGMA ignore_check_constraints = 1; UPDATE evercore_subscriptions SET {damage}"
        ))?;
        let error = engine.subscriptions(None).await.expect_err("it cannot be read");
        assert_eq!(error.kind(), EngineErrorKind::Corrupt, "{damage}: {error:?}");
        let source = std::error::Error::source(&error).expect("a source").to_string();
        assert!(source.to_lowercase().contains(said), "{damage}: {source}");
    }
    Ok(())
}
