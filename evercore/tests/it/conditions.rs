//! Versions, conflicts and conditions.

use evercore::{Error, EventStore, RetryPolicy, Sequence};

use crate::domain::{Account, Deposited, User, UserLoggedIn, created, log_in, store, stored_user};
use crate::observed::{Fault, ObservedEngine};

#[tokio::test]
async fn of_two_contexts_that_change_one_aggregate_the_second_is_a_conflict() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let (first, second) = (store.begin(), store.begin());
    let mut slow = second.load(id).await.unwrap();
    let mut fast = first.load(id).await.unwrap();
    for _ in 0..3 {
        first.apply(&mut fast, UserLoggedIn {}).unwrap();
    }
    second.apply(&mut slow, UserLoggedIn {}).unwrap();
    first.commit().await.unwrap();

    let error = second.commit().await.unwrap_err();
    let Error::Conflict { aggregate, expected, actual } = &error else { panic!("{error}") };
    assert_eq!((aggregate.id(), expected.get(), *actual), (Some(id.untyped()), 1, Some(Sequence::new(4))));
    assert_eq!(error.to_string(), format!("User {id} was changed meanwhile: expected at 1, it is at 4"));
    assert_eq!(store.load(id).await.unwrap().logins, 3);
}

#[tokio::test]
async fn a_conflict_on_the_last_aggregate_leaves_nothing_of_the_others() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    let mut stale = ctx.load(id).await.unwrap();
    log_in(&store, id).await;
    let mut jane = ctx.create_with_key::<User>("jane").await.unwrap();
    ctx.apply(&mut jane, created("jane")).unwrap();
    ctx.apply(&mut stale, UserLoggedIn {}).unwrap();
    assert!(ctx.commit().await.unwrap_err().is_conflict());
    assert!(store.load(jane.id()).await.unwrap_err().is_not_found());
    assert!(!store.read_only().exists_by_key::<User>("jane").await.unwrap());
}

// A copy whose last events were never committed has a sequence that somebody else's events may have got
// since. Only the check of the copy itself can see that; the engine sees no gap and no conflict.
#[tokio::test]
async fn a_copy_from_a_dropped_or_failed_context_cannot_be_used_again() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let dropped = store.begin();
    let mut copy = dropped.load(id).await.unwrap();
    dropped.apply(&mut copy, UserLoggedIn {}).unwrap();
    drop(dropped);
    log_in(&store, id).await;

    let ctx = store.begin();
    assert!(matches!(ctx.apply(&mut copy, UserLoggedIn {}), Err(Error::Uncommitted(_))));
    assert!(matches!(ctx.require_unchanged(&copy), Err(Error::Uncommitted(_))));
    assert!(matches!(ctx.save_snapshot(&copy), Err(Error::Uncommitted(_))));

    let failed = store.begin();
    let mut copy = failed.load(id).await.unwrap();
    failed.apply(&mut copy, UserLoggedIn {}).unwrap();
    failed.create_with_key::<User>("john").await.unwrap();
    failed.commit().await.unwrap_err();
    assert!(matches!(ctx.apply(&mut copy, UserLoggedIn {}), Err(Error::Uncommitted(_))));

    let unborn = store.begin();
    let mut never = unborn.create::<User>().await.unwrap();
    drop(unborn);
    assert!(matches!(ctx.apply(&mut never, UserLoggedIn {}), Err(Error::Uncommitted(_))));
    assert_eq!(ctx.commit().await.unwrap().aggregates(), []);
}

#[tokio::test]
async fn a_copy_can_be_used_further_after_its_context_committed() {
    let store = store().await;
    let first = store.begin();
    let mut user = first.create::<User>().await.unwrap();
    first.apply(&mut user, created("john")).unwrap();
    first.commit().await.unwrap();
    let second = store.begin();
    second.apply(&mut user, UserLoggedIn {}).unwrap();
    second.commit().await.unwrap();
    assert_eq!(store.load(user.id()).await.unwrap().sequence().get(), 2);
}

#[tokio::test]
async fn required_aggregates_must_not_change() {
    let store = store().await;
    let (a, b) = (stored_user(&store, "a", 0).await, stored_user(&store, "b", 0).await);
    let ctx = store.begin();
    let required = ctx.load(a).await.unwrap();
    let mut changed = ctx.load(b).await.unwrap();
    ctx.require_unchanged(&required).unwrap();
    ctx.apply(&mut changed, UserLoggedIn {}).unwrap();
    store
        .with_context(async |other| {
            let mut user = other.load(a).await?;
            other.apply(&mut user, UserLoggedIn {})
        })
        .await
        .unwrap();
    let error = ctx.commit().await.unwrap_err();
    assert!(matches!(&error, Error::Conflict { aggregate, .. } if aggregate.id() == Some(a.untyped())));
    assert_eq!(store.load(b).await.unwrap().logins, 0);

    // Alone it is checked too, and it is not counted as written.
    let ctx = store.begin();
    ctx.require_unchanged(&ctx.load(a).await.unwrap()).unwrap();
    assert!(ctx.commit().await.unwrap().aggregates().is_empty());
    let ctx = store.begin();
    ctx.require_unchanged(&required).unwrap();
    assert!(ctx.commit().await.unwrap_err().is_conflict());
}

// Two doctors are on call; each may leave while the other stays. Both leaving at once is what snapshot
// isolation allows and serializability does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_contexts_that_require_what_the_other_writes_at_most_one_commits() {
    let store = store().await;
    for round in 0..100 {
        let mut ids = Vec::new();
        for name in ["a", "b"] {
            let key = format!("{name}{round}");
            ids.push(
                store
                    .with_context(async |ctx| {
                        let mut account = ctx.create_with_key::<Account>(&key).await?;
                        ctx.apply(&mut account, Deposited(1))?;
                        Ok(account.id())
                    })
                    .await
                    .unwrap(),
            );
        }
        let leave = |own, other| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .with_context(async |ctx| {
                        let mut own = ctx.load::<Account>(own).await?;
                        let other = ctx.load::<Account>(other).await?;
                        if other.balance() == 1 {
                            ctx.require_unchanged(&other)?;
                            ctx.apply(&mut own, crate::domain::Withdrawn(1))?;
                        }
                        Ok(())
                    })
                    .await
            })
        };
        let (first, second) = tokio::join!(leave(ids[0], ids[1]), leave(ids[1], ids[0]));
        let _ = (first.unwrap(), second.unwrap());
        let left = store.read_only().load_many(&ids).await.unwrap();
        assert!(left.iter().map(|account| account.balance()).sum::<i64>() >= 1, "both left in round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_contexts_with_retry_count_exactly() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let unit = store.unit().retry(RetryPolicy::default().with_attempts(1_000));
                unit.run(async |ctx| {
                    let mut user = ctx.load(id).await?;
                    ctx.apply(&mut user, UserLoggedIn {})
                })
                .await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let user = store.load(id).await.unwrap();
    assert_eq!((user.logins, user.sequence().get()), (64, 65));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_given_up_happened_whole_or_not_at_all_and_ends_the_context() {
    for (fault, happened) in [(Fault::HangsBefore, false), (Fault::HangsAfter, true)] {
        let engine = ObservedEngine::new();
        let store = EventStore::open::<crate::domain::Domain>(engine.clone()).await.unwrap();
        let ctx = store.begin();
        let mut user = ctx.create_with_key::<User>("john").await.unwrap();
        let mut account = ctx.create_with_key::<Account>("john").await.unwrap();
        ctx.apply(&mut user, created("john")).unwrap();
        ctx.apply(&mut account, Deposited(1)).unwrap();
        engine.fail_commits(&[fault]);
        let given_up = tokio::time::timeout(std::time::Duration::from_secs(1), ctx.commit()).await;
        assert!(given_up.is_err());

        assert_eq!(store.load(user.id()).await.is_ok(), happened, "{fault:?}");
        assert_eq!(store.load(account.id()).await.is_ok(), happened, "{fault:?}");
        assert!(matches!(ctx.commit().await, Err(Error::ContextClosed)));
        assert!(matches!(store.begin().apply(&mut user, UserLoggedIn {}), Err(Error::Uncommitted(_))));
    }
}
