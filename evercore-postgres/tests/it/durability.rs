//! What a call waits for before it returns.

use std::{sync::Arc, time::Duration};

use evercore::{
    Position,
    engine::{Checkpoint, Claim, NewSubscription, SubscriptionEngine, TransactionalEngine},
};
use evercore_postgres::PostgresEngine;
use xtask::postgres::{Options, Server};

use crate::fixtures::{Place, TestResult, run};

/// A commit that is to be durable waits for a standby that never comes, once the database wants that.
async fn place() -> Place {
    let options = Options::new()
        .with_setting("synchronous_standby_names", "nobody")
        .with_setting("synchronous_commit", "local");
    let create = move || Server::private(&options)?.create_database();
    Place::of(tokio::task::spawn_blocking(create).await.expect("no panic").expect("a database"))
}

#[tokio::test]
async fn a_checkpoint_of_its_own_waits_for_no_disk_and_one_in_a_transaction_does() -> TestResult {
    let place = place().await;
    let engine = place.engine().await;
    let everything = |name: &str| NewSubscription {
        name: name.into(),
        filter: "everything".into(),
        cursor: Position::START,
    };
    engine.define_subscription(&everything("orders")).await?;
    let claim = engine.claim_subscription("orders", "me", Duration::from_secs(3600)).await?;
    let Claim::Claimed(claimed) = claim else { panic!("it is free: {claim:?}") };
    let set = format!("ALTER DATABASE {} SET synchronous_commit TO on", place.database());
    run(&mut place.session().await, set).await;

    let waiting = Arc::new(PostgresEngine::builder().url(&place.url()).without_migration().connect().await?);
    let step = |from, to| Checkpoint {
        name: "orders".into(),
        token: claimed.token,
        from: Position::new(from),
        to: Position::new(to),
        anchor: None,
        failed: Vec::new(),
    };
    waiting.checkpoint(&step(0, 1)).await.expect("it is made");

    let mut transaction = waiting.begin().await?;
    waiting.checkpoint_in(&step(1, 2), &mut transaction).await.expect("it is made");
    let finishing = {
        let waiting = Arc::clone(&waiting);
        tokio::spawn(async move { waiting.finish(transaction).await })
    };
    let mut session = place.session().await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    while sqlx::query_scalar::<_, i64>(count).fetch_one(&mut session).await? == 0 {
        assert!(!finishing.is_finished(), "the transaction waits for nobody");
    }
    finishing.abort();
    Ok(())
}
