//! Owners of subscriptions that meet in the database.

use std::{collections::HashSet, sync::Arc, time::Duration};

use evercore::{
    Position,
    engine::{
        Checkpoint, Claim, EngineErrorKind, Fenced, FencingToken, NewFailedDelivery, NewSubscription,
        OwnerError, Renewal, StoredSubscription, SubscriptionChange, SubscriptionEngine, TransactionalEngine,
    },
};
use evercore_postgres::PostgresEngine;
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use crate::fixtures::{Place, TestResult, run};

const HOUR: Duration = Duration::from_secs(3600);
const NAME: &str = "orders";

/// A store with a subscription.
struct Scene {
    engine: Arc<PostgresEngine>,
    place: Arc<Place>,
}

impl Scene {
    async fn new() -> Self {
        Self::in_database(Place::new().await).await
    }

    /// In a database whose transactions are isolated like this, unless they say otherwise.
    async fn with_isolation(isolation: &str) -> Self {
        let place = Place::new().await;
        let set =
            format!("ALTER DATABASE {} SET default_transaction_isolation TO '{isolation}'", place.database());
        run(&mut place.session().await, set).await;
        Self::in_database(place).await
    }

    async fn in_database(place: Place) -> Self {
        let engine = place.engine().await;
        engine.define_subscription(&definition()).await.expect("it is defined");
        Self { engine: Arc::new(engine), place: Arc::new(place) }
    }

    async fn claim(&self, owner: &str) -> StoredSubscription {
        claimed(self.engine.claim_subscription(NAME, owner, HOUR).await.expect("a claim"))
    }

    async fn found(&self) -> StoredSubscription {
        let list = self.engine.subscriptions(Some(NAME)).await.expect("a list");
        list.subscriptions.into_iter().next().expect("it is there")
    }

    /// Runs a call that waits for somebody, beside this.
    async fn waiting<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let answer = tokio::spawn(call);
        self.until_blocked(1, || answer.is_finished()).await;
        answer
    }

    /// Waits until so many wait for somebody, and none of them has an answer.
    async fn until_blocked(&self, count: i64, is_finished: impl Fn() -> bool) {
        let mut session = self.place.session().await;
        let blocked = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";
        while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&mut session).await.expect("a count") < count {
            assert!(!is_finished(), "it did not wait");
        }
    }

    /// Has an engine of its own for each call, and lets them go on together when all wait for this session.
    async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        mut session: PgConnection,
        calls: usize,
        call: impl Fn(PostgresEngine, usize) -> F + Send + Sync,
    ) -> Vec<T> {
        let mut answers = Vec::new();
        for number in 0..calls {
            answers.push(tokio::spawn(call(self.place.engine().await, number)));
        }
        let count = i64::try_from(calls).expect("they are few");
        self.until_blocked(count, || answers.iter().any(JoinHandle::is_finished)).await;
        run(&mut session, "COMMIT").await;
        let mut answered = Vec::new();
        for answer in answers {
            answered.push(answer.await.expect("it does not panic"));
        }
        answered
    }
}

fn definition() -> NewSubscription {
    NewSubscription { name: NAME.into(), filter: "everything".into(), cursor: Position::START }
}

fn claimed(claim: Claim) -> StoredSubscription {
    match claim {
        Claim::Claimed(subscription) => subscription,
        other => panic!("it is not claimed: {other:?}"),
    }
}

fn checkpoint(token: FencingToken, from: i64, to: i64) -> Checkpoint {
    let (from, to) = (Position::new(from), Position::new(to));
    Checkpoint { name: NAME.into(), token, from, to, anchor: None, failed: Vec::new() }
}

/// A checkpoint in a transaction, which ends when it is made.
async fn move_in_transaction(engine: Arc<PostgresEngine>, checkpoint: Checkpoint) -> Result<(), OwnerError> {
    let mut transaction = engine.begin().await?;
    engine.checkpoint_in(&checkpoint, &mut transaction).await?;
    Ok(engine.finish(transaction).await?)
}

#[tokio::test]
async fn of_two_transactions_that_move_a_cursor_the_second_waits_for_the_first() -> TestResult {
    let scene = Scene::new().await;
    let token = scene.claim("one").await.token;

    let mut first = scene.engine.begin().await?;
    scene.engine.checkpoint_in(&checkpoint(token, 0, 10), &mut first).await.expect("it is moved");
    let second = move_in_transaction(Arc::clone(&scene.engine), checkpoint(token, 0, 7));
    let second = scene.waiting(second).await;
    scene.engine.finish(first).await?;
    let answer = second.await?;
    assert!(matches!(answer, Err(OwnerError::Moved(to)) if to == Position::new(10)), "{answer:?}");

    let mut first = scene.engine.begin().await?;
    scene.engine.checkpoint_in(&checkpoint(token, 10, 20), &mut first).await.expect("it is moved");
    let second = move_in_transaction(Arc::clone(&scene.engine), checkpoint(token, 10, 17));
    let second = scene.waiting(second).await;
    first.rollback().await?;
    second.await?.expect("it is moved");
    assert_eq!(scene.found().await.cursor, Position::new(17));
    Ok(())
}

#[tokio::test]
async fn a_claim_waits_for_a_transaction_that_has_moved_the_cursor_and_begins_behind_it() -> TestResult {
    let scene = Scene::new().await;
    let token = scene.claim("one").await.token;
    let mut open = scene.engine.begin().await?;
    scene.engine.checkpoint_in(&checkpoint(token, 0, 10), &mut open).await.expect("it is moved");

    let engine = Arc::clone(&scene.engine);
    let claim = scene.waiting(async move { engine.claim_subscription(NAME, "one", HOUR).await }).await;
    scene.engine.finish(open).await?;
    let claim = claimed(claim.await??);
    assert_eq!(claim.cursor, Position::new(10));
    assert!(claim.token > token);
    Ok(())
}

#[tokio::test]
async fn an_owner_that_was_fenced_while_its_transaction_was_open_moves_nothing() -> TestResult {
    let scene = Scene::new().await;
    let token = scene.claim("one").await.token;
    let mut open = scene.engine.begin().await?;
    sqlx::query("SELECT FROM evercore.subscriptions").execute(&mut *open).await?;
    scene.engine.change_subscription(NAME, &SubscriptionChange::Pause, None).await.expect("it is paused");
    scene.engine.change_subscription(NAME, &SubscriptionChange::Resume, None).await.expect("it is resumed");
    scene.claim("other").await;
    let answer = scene.engine.checkpoint_in(&checkpoint(token, 0, 10), &mut open).await;
    let taken = Fenced::TakenOver { owner: "other".into() };
    assert!(matches!(&answer, Err(OwnerError::Fenced(why)) if *why == taken), "{answer:?}");
    open.rollback().await?;
    assert_eq!(scene.found().await.cursor, Position::START);
    Ok(())
}

/// The checkpoint has found its token in place when it begins to wait.
#[tokio::test]
async fn a_checkpoint_that_waited_for_whoever_fenced_its_owner_says_so() -> TestResult {
    let scene = Scene::new().await;
    let token = scene.claim("one").await.token;
    for (statement, expected) in [
        (
            "UPDATE evercore.subscriptions SET token = token + 1, owner = 'other';
            UPDATE evercore.subscription_cursors SET token = token + 1",
            Fenced::TakenOver { owner: "other".into() },
        ),
        ("DELETE FROM evercore.subscriptions", Fenced::Deleted),
    ] {
        let mut session = scene.place.session().await;
        let token = match expected {
            Fenced::Deleted => scene.claim("other").await.token,
            _ => token,
        };
        run(&mut session, format!("BEGIN; {statement}")).await;
        let engine = Arc::clone(&scene.engine);
        let waiting = scene.waiting(async move { engine.checkpoint(&checkpoint(token, 0, 10)).await }).await;
        run(&mut session, "COMMIT").await;
        let answer = waiting.await?;
        assert!(matches!(&answer, Err(OwnerError::Fenced(why)) if *why == expected), "{answer:?}");
    }
    Ok(())
}

/// They have found their token in place too.
#[tokio::test]
async fn whoever_waited_for_the_one_who_fenced_it_is_told() -> TestResult {
    let scene = Scene::new().await;
    let token = scene.claim("one").await.token;
    let taken = Fenced::TakenOver { owner: "other".into() };
    let mut session = scene.place.session().await;
    let take = "BEGIN; UPDATE evercore.subscriptions SET token = token + 1, owner = 'other'";
    let give_back = "UPDATE evercore.subscriptions SET token = token - 1, owner = 'one'";

    run(&mut session, take).await;
    let engine = Arc::clone(&scene.engine);
    let renewal = Renewal { name: NAME.into(), token, lease: HOUR };
    let renewed = scene.waiting(async move { engine.renew_leases(&[renewal]).await }).await;
    run(&mut session, "COMMIT").await;
    assert_eq!(renewed.await??, [Some(taken.clone())]);

    run(&mut session, give_back).await;
    run(&mut session, take).await;
    let engine = Arc::clone(&scene.engine);
    let released = scene.waiting(async move { engine.release_subscription(NAME, token, None).await }).await;
    run(&mut session, "COMMIT").await;
    let answer = released.await?;
    assert!(matches!(&answer, Err(OwnerError::Fenced(why)) if *why == taken), "{answer:?}");

    run(&mut session, give_back).await;
    run(&mut session, take).await;
    let engine = Arc::clone(&scene.engine);
    let delete = SubscriptionChange::Delete;
    let deleted =
        scene.waiting(async move { engine.change_subscription(NAME, &delete, Some(token)).await }).await;
    run(&mut session, "COMMIT").await;
    let answer = deleted.await?;
    assert!(matches!(&answer, Err(OwnerError::Fenced(why)) if *why == taken), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn leases_are_renewed_while_a_transaction_that_has_moved_the_cursor_is_open() -> TestResult {
    let scene = Scene::new().await;
    let claim = scene.claim("one").await;
    let mut open = scene.engine.begin().await?;
    scene.engine.checkpoint_in(&checkpoint(claim.token, 0, 10), &mut open).await.expect("it is moved");
    let renewal = Renewal { name: NAME.into(), token: claim.token, lease: 2 * HOUR };
    assert_eq!(scene.engine.renew_leases(&[renewal.clone(), renewal]).await?, [None, None]);
    let (before, after) = (claim.owner.ok_or("an owner")?, scene.found().await.owner.ok_or("an owner")?);
    assert!(after.expires_at > before.expires_at);
    scene.engine.finish(open).await?;
    Ok(())
}

#[tokio::test]
async fn a_transaction_of_another_store_is_refused() -> TestResult {
    let (scene, other) = (Scene::new().await, Scene::new().await);
    let (token, same) = (scene.claim("one").await.token, other.claim("one").await.token);
    assert_eq!(token, same);
    let mut foreign = other.engine.begin().await?;
    let answer = scene.engine.checkpoint_in(&checkpoint(token, 0, 10), &mut foreign).await;
    let Err(OwnerError::Engine(error)) = answer else { return Err(format!("{answer:?}").into()) };
    assert_eq!(error.kind(), EngineErrorKind::Unsupported);
    other.engine.finish(foreign).await?;
    assert_eq!(other.found().await.cursor, Position::START);
    Ok(())
}

/// The clock of the server cannot be moved here, but leases can: whoever measured them otherwise would not notice.
#[tokio::test]
async fn the_server_alone_judges_leases() -> TestResult {
    let scene = Scene::new().await;
    let mut session = scene.place.session().await;
    let first = scene.claim("one").await;
    run(
        &mut session,
        "UPDATE evercore.subscriptions SET expires_at = clock_timestamp() - interval '1 microsecond'",
    )
    .await;
    let second = scene.claim("other").await;
    assert!(second.token > first.token);

    // One that is over by now, as far as anybody but the server knows.
    let brief = Duration::from_millis(1);
    claimed(scene.engine.claim_subscription(NAME, "other", brief).await?);
    run(&mut session, "UPDATE evercore.subscriptions SET expires_at = clock_timestamp() + interval '1 hour'")
        .await;
    let claim = scene.engine.claim_subscription(NAME, "one", HOUR).await?;
    let Claim::Held { owner, remaining } = claim else { return Err(format!("{claim:?}").into()) };
    assert_eq!(owner, "other");
    assert!(remaining <= HOUR && remaining > HOUR / 2, "{remaining:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_that_claim_at_once_one_wins_and_the_others_are_told_who() -> TestResult {
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let scene = Scene::with_isolation(isolation).await;
        let mut session = scene.place.session().await;
        run(&mut session, "BEGIN; SELECT FROM evercore.subscriptions FOR UPDATE").await;
        let claim = |engine: PostgresEngine, number| async move {
            engine.claim_subscription(NAME, &format!("owner {number}"), HOUR).await
        };
        let answers = scene.at_once(session, 16, claim).await;
        let winner = scene.found().await.owner.ok_or("an owner")?.name;
        let mut won = 0;
        for answer in answers {
            match answer? {
                Claim::Claimed(own) => {
                    won += 1;
                    assert_eq!(own.owner.as_ref().map(|owner| &owner.name), Some(&winner));
                }
                Claim::Held { owner, remaining } => {
                    assert_eq!(owner, winner);
                    assert!(remaining > HOUR / 2, "{remaining:?}");
                }
                other => return Err(format!("{other:?}").into()),
            }
        }
        assert_eq!(won, 1, "{isolation}");
    }
    Ok(())
}

/// Claims one after the other, and counts up to 40 together with the others.
async fn take_turns(engine: Arc<PostgresEngine>, owner: String) -> Result<Vec<FencingToken>, OwnerError> {
    let mut tokens = Vec::new();
    loop {
        let Claim::Claimed(own) = engine.claim_subscription(NAME, &owner, HOUR).await? else {
            tokio::task::yield_now().await;
            continue;
        };
        tokens.push(own.token);
        let at = own.cursor.get();
        if at < 40 {
            engine.checkpoint(&checkpoint(own.token, at, at + 1)).await?;
        }
        engine.release_subscription(NAME, own.token, None).await?;
        if at >= 40 {
            return Ok(tokens);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn owners_that_take_turns_lose_no_step_and_never_share_a_token() -> TestResult {
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let scene = Scene::with_isolation(isolation).await;
        let owners: Vec<_> = (0..4)
            .map(|number| {
                let place = Arc::clone(&scene.place);
                tokio::spawn(async move {
                    take_turns(Arc::new(place.engine().await), format!("owner {number}")).await
                })
            })
            .collect();
        let mut tokens = Vec::new();
        for owner in owners {
            tokens.extend(owner.await?.expect("nobody is fenced"));
        }
        let unique: HashSet<_> = tokens.iter().collect();
        assert_eq!(unique.len(), tokens.len());
        assert_eq!(tokens.len(), 44, "{isolation}");
        assert_eq!(scene.found().await.cursor, Position::new(40));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_definitions_at_once_one_is_made() -> TestResult {
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let scene = Scene::with_isolation(isolation).await;
        let mut session = scene.place.session().await;
        run(
            &mut session,
            "BEGIN;
            INSERT INTO evercore.subscriptions (name, filter, token, defined_at) VALUES ('new', 'first', 7, now());
            INSERT INTO evercore.subscription_cursors (subscription, position, moved_at) VALUES ('new', 3, now())",
        )
        .await;
        let define = |engine: PostgresEngine, number| async move {
            let filter = format!("filter {number}");
            let new = NewSubscription { name: "new".into(), filter, ..definition() };
            engine.define_subscription(&new).await
        };
        for defined in scene.at_once(session, 4, define).await {
            let defined = defined?;
            assert_eq!((defined.filter.as_str(), defined.cursor), ("first", Position::new(3)), "{isolation}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_error_with_a_character_that_cannot_be_stored_is_stored_without_it() -> TestResult {
    let scene = Scene::new().await;
    let token = scene.claim("one").await.token;
    let failed = |attempts| NewFailedDelivery { position: Position::new(3), attempts, error: "a\0b".into() };
    let skipping = Checkpoint { failed: vec![failed(1), failed(u32::MAX)], ..checkpoint(token, 0, 3) };
    scene.engine.checkpoint(&skipping).await.expect("it is moved");
    let stored = scene.engine.failed_deliveries(NAME, Position::START, 10).await?;
    let stored: Vec<_> = stored.iter().map(|one| (one.attempts, one.error.as_str())).collect();
    assert_eq!(stored, [(u32::MAX, "a\u{fffd}b")]);
    scene.engine.release_subscription(NAME, token, Some("\0")).await.expect("it is given up");
    assert_eq!(scene.found().await.failure.as_deref(), Some("\u{fffd}"));
    Ok(())
}

#[tokio::test]
async fn a_lease_may_be_as_long_as_can_be_said() -> TestResult {
    let scene = Scene::new().await;
    let own = claimed(scene.engine.claim_subscription(NAME, "one", Duration::MAX).await?);
    let renewal = Renewal { name: NAME.into(), token: own.token, lease: Duration::MAX };
    assert_eq!(scene.engine.renew_leases(&[renewal]).await?, [None]);
    Ok(())
}
