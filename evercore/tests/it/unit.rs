//! Units of work that run again, and those that happen once.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use chrono::Utc;
use evercore::{Committed, Error, EventStore, RetryPolicy, Unit, engine::EngineErrorKind};

use crate::{
    domain::{Account, Deposited, User, UserLoggedIn, Withdrawn, created, log_in, store, stored_user},
    observed::{Fault, ObservedEngine},
};

fn quick(attempts: u32) -> RetryPolicy {
    RetryPolicy::default().with_attempts(attempts).with_base(Duration::from_micros(10))
}

#[tokio::test]
async fn a_unit_runs_again_after_a_conflict() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let runs = AtomicU32::new(0);
    let (logins, receipt) = store
        .unit()
        .retry(quick(5))
        .run(async |ctx| {
            let mut user = ctx.load(id).await?;
            if runs.fetch_add(1, Ordering::Relaxed) < 2 {
                log_in(&store, id).await;
            }
            ctx.apply(&mut user, UserLoggedIn {})?;
            Ok(user.logins)
        })
        .await
        .unwrap();
    assert_eq!((runs.into_inner(), logins), (3, 3));
    assert_eq!(receipt.aggregates()[0].sequence.get(), 4);
}

#[tokio::test]
async fn a_unit_gives_up_at_its_limit_with_the_last_conflict() {
    let store = store().await;
    assert_eq!(runs_that_all_conflict(&store, store.unit().retry(quick(4))).await, 4);
}

#[tokio::test]
async fn without_a_policy_a_unit_runs_once() {
    let store = store().await;
    assert_eq!(runs_that_all_conflict(&store, store.unit()).await, 1);
}

/// How often a unit of work runs when somebody else is always faster.
async fn runs_that_all_conflict(store: &EventStore, unit: Unit) -> u32 {
    let id = stored_user(store, "john", 0).await;
    let runs = AtomicU32::new(0);
    let work = async |ctx: evercore::Context| {
        runs.fetch_add(1, Ordering::Relaxed);
        let mut user = ctx.load(id).await?;
        log_in(store, id).await;
        ctx.apply(&mut user, UserLoggedIn {})
    };
    assert!(unit.run(work).await.unwrap_err().is_conflict());
    runs.into_inner()
}

// The conflict shows when the aggregate is loaded a second time, inside the closure, which turns it into an
// error of its own.
#[tokio::test]
async fn a_conflict_inside_the_closure_counts_whatever_it_becomes() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let runs = AtomicU32::new(0);
    let result: Result<_, Box<dyn std::error::Error + Send + Sync>> = store
        .unit()
        .retry(quick(5))
        .try_run(async |ctx| {
            let mut user = ctx.load(id).await?;
            ctx.apply(&mut user, UserLoggedIn {})?;
            if runs.fetch_add(1, Ordering::Relaxed) == 0 {
                log_in(&store, id).await;
            }
            let view = ctx.load(id).await.map_err(|_| "no view")?;
            Ok(view.logins)
        })
        .await;
    assert_eq!(result.unwrap().0, 2);
    assert_eq!(runs.into_inner(), 2);
}

#[tokio::test]
async fn errors_of_the_closure_end_a_unit_at_once() {
    let store = store().await;
    let runs = AtomicU32::new(0);
    let result: Result<_, String> = ErrorText::strip(
        store
            .unit()
            .retry(quick(5))
            .try_run(async |ctx| {
                runs.fetch_add(1, Ordering::Relaxed);
                ctx.create_with_key::<User>("john").await?;
                Err::<(), _>(ErrorText("not today".to_owned()))
            })
            .await,
    );
    assert_eq!(result.unwrap_err(), "not today");
    assert_eq!(runs.into_inner(), 1);
    assert!(!store.read_only().exists_by_key::<User>("john").await.unwrap());
}

#[derive(Debug)]
struct ErrorText(String);

impl From<Error> for ErrorText {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl ErrorText {
    fn strip<T>(result: Result<T, Self>) -> Result<T, String> {
        result.map_err(|error| error.0)
    }
}

#[tokio::test]
async fn temporary_errors_of_the_engine_are_retried_and_others_are_not() {
    let engine = ObservedEngine::new();
    let store = EventStore::open::<User>(engine.clone()).await.unwrap();
    let create = |attempts| {
        let unit = store.unit().retry(quick(attempts));
        async move { unit.run(async |ctx| ctx.create::<User>().await.map(|user| user.id())).await }
    };
    engine.fail_commits(&[Fault::Before(EngineErrorKind::Busy), Fault::Before(EngineErrorKind::Timeout)]);
    let (id, _) = create(5).await.unwrap();
    assert!(store.load(id).await.is_ok());

    engine.fail_commits(&[Fault::Before(EngineErrorKind::StorageFull)]);
    let error = create(5).await.unwrap_err();
    let Error::Engine { action, source } = &error else { panic!("{error}") };
    assert!(action.starts_with("commit the changes of User "), "{action}");
    assert_eq!(source.kind(), EngineErrorKind::StorageFull);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn load_or_create_races_are_settled_by_retrying() {
    let store = store().await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .unit()
                    .retry(quick(1_000))
                    .run(async |ctx| {
                        let mut account = ctx.load_or_create::<Account>("shared").await?;
                        // Everybody has seen that there is none before anybody commits.
                        tokio::task::yield_now().await;
                        ctx.apply(&mut account, Deposited(1))
                    })
                    .await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.load_by_key::<Account>("shared").await.unwrap().balance(), 16);
}

#[tokio::test]
async fn load_or_create_that_lost_the_race_is_a_conflict() {
    let store = store().await;
    let ctx = store.begin();
    ctx.load_or_create::<User>("john").await.unwrap();
    stored_user(&store, "john", 0).await;
    let error = ctx.commit().await.unwrap_err();
    assert!(matches!(error, Error::DuplicateKey { load_or_create: true, .. }));
    assert!(error.is_conflict());
}

#[tokio::test]
async fn once_happens_once() {
    let store = store().await;
    let place = async || {
        store
            .unit()
            .once("order-4711")
            .run(async |ctx| {
                let mut user = ctx.create_with_key::<User>("john").await?;
                ctx.apply(&mut user, created("john"))?;
                Ok(user.id())
            })
            .await
    };
    let Committed::Fresh(id, first) = place().await.unwrap() else { panic!("it is the first") };
    let again = place().await.unwrap();
    assert_eq!(again, Committed::Repeat(first.clone()));
    assert_eq!(first.aggregates()[0].id, id.untyped());
    assert_eq!(store.load(id).await.unwrap().sequence().get(), 1);
}

#[tokio::test]
async fn an_idempotency_key_with_other_content_is_refused() {
    let store = store().await;
    let place = async |key: &'static str| {
        store
            .unit()
            .once("order-4711")
            .run(async |ctx| ctx.create_with_key::<User>(key).await.map(drop))
            .await
    };
    place("john").await.unwrap();
    let error = place("jane").await.unwrap_err();
    assert!(matches!(&error, Error::KeyReused { key, .. } if key == "order-4711"), "{error}");
    assert!(!store.read_only().exists_by_key::<User>("jane").await.unwrap());
    let nothing_left_to_do = store.unit().once("order-4711").run(async |_ctx| Ok(())).await.unwrap();
    assert!(nothing_left_to_do.is_repeat());
}

// A request to withdraw everything, sent twice: the second run finds nothing to withdraw. Without a look at the
// key its objection would hide that the request was served, but only when the first one was already visible.
#[tokio::test]
async fn a_repeat_whose_closure_objects_to_what_the_first_did_is_a_repeat() {
    let store = store().await;
    stored_account(&store, "till", 5).await;
    let withdraw = async || {
        let once = store.unit().once("withdraw-1");
        once.try_run(async |ctx| {
            let mut account = ctx.load_by_key::<Account>("till").await?;
            if account.balance() == 0 {
                return Err(ErrorText("nothing to withdraw".to_owned()));
            }
            let balance = account.balance();
            ctx.apply(&mut account, Withdrawn(balance))?;
            Ok(balance)
        })
        .await
    };
    assert!(matches!(withdraw().await.unwrap(), Committed::Fresh(5, _)));
    assert!(withdraw().await.unwrap().is_repeat());
    let other =
        store.unit().once("withdraw-2").try_run(async |_ctx| Err::<(), _>(ErrorText("no".to_owned()))).await;
    assert_eq!(other.unwrap_err().0, "no", "an objection under a new key is one");
}

#[tokio::test]
async fn a_repeat_after_a_rename_is_a_repeat() {
    let store = store().await;
    let id = stored_account(&store, "old", 5).await;
    let deposit = async || {
        store
            .unit()
            .once("deposit-1")
            .run(async |ctx| {
                let mut account = ctx.load(id).await?;
                ctx.apply(&mut account, Deposited(1))
            })
            .await
    };
    assert!(!deposit().await.unwrap().is_repeat());
    store
        .with_context(async |ctx| {
            let mut account = ctx.load(id).await?;
            ctx.change_key(&mut account, "new")
        })
        .await
        .unwrap();
    assert!(deposit().await.unwrap().is_repeat());
    assert_eq!(store.load(id).await.unwrap().balance(), 6);
}

#[tokio::test]
async fn the_same_key_for_another_aggregate_without_a_natural_key_is_refused() {
    let store = store().await;
    let create =
        async || store.unit().run(async |ctx| Ok(ctx.create::<Account>().await?.id())).await.unwrap().0;
    let (one, other) = (create().await, create().await);
    let deposit = async |id| {
        store
            .unit()
            .once("deposit-1")
            .run(async |ctx| {
                let mut account = ctx.load::<Account>(id).await?;
                ctx.apply(&mut account, Deposited(1))
            })
            .await
    };
    deposit(one).await.unwrap();
    let error = deposit(other).await.unwrap_err();
    assert!(error.to_string().ends_with(&format!("which did not write Account {other}")), "{error}");
    assert!(deposit(one).await.unwrap().is_repeat());
}

#[tokio::test]
async fn a_unit_that_writes_nothing_leaves_its_key_to_one_that_does() {
    let store = store().await;
    let id = stored_account(&store, "till", 5).await;
    let nothing =
        store.unit().once("key").run(async |ctx| ctx.require_unchanged(&ctx.load(id).await?)).await.unwrap();
    assert!(!nothing.is_repeat());
    assert_eq!(store.receipt("key").await.unwrap(), None);
    let something = store
        .unit()
        .once("key")
        .run(async |ctx| {
            let mut account = ctx.load(id).await?;
            ctx.apply(&mut account, Deposited(1))
        })
        .await
        .unwrap();
    assert!(!something.is_repeat());
    assert_eq!(store.receipt("key").await.unwrap().as_ref(), Some(something.receipt()));
    assert!(store.unit().once("key").run(async |_ctx| Ok(())).await.unwrap().is_repeat());
}

#[tokio::test]
async fn a_repeat_that_finds_what_it_would_create_is_a_repeat() {
    let store = store().await;
    let visit = async || {
        store
            .unit()
            .once("visit-1")
            .run(async |ctx| {
                let mut account = ctx.load_or_create::<Account>("till").await?;
                ctx.apply(&mut account, Deposited(5))
            })
            .await
    };
    assert!(!visit().await.unwrap().is_repeat());
    assert!(visit().await.unwrap().is_repeat());
    assert_eq!(store.load_by_key::<Account>("till").await.unwrap().balance(), 5);
}

#[tokio::test]
async fn forgotten_keys_can_be_used_again() {
    let store = store().await;
    let visit =
        async || store.unit().once("visit").run(async |ctx| ctx.create::<Account>().await.map(drop)).await;
    visit().await.unwrap();
    assert_eq!(store.forget_keys(Utc::now() - Duration::from_secs(3600)).await.unwrap(), 0);
    assert!(visit().await.unwrap().is_repeat());
    assert_eq!(store.forget_keys(Utc::now() + Duration::from_secs(3600)).await.unwrap(), 1);
    assert!(!visit().await.unwrap().is_repeat());
}

#[tokio::test]
async fn idempotency_keys_have_limits() {
    let store = store().await;
    for (key, message) in [
        (String::new(), "idempotency key is empty"),
        ("x".repeat(256), "idempotency key is 256 bytes long, the limit is 255"),
        ("a\0".to_owned(), "idempotency key contains U+0000 at byte 1"),
    ] {
        let result = store.unit().once(key).run(async |_ctx| Ok(())).await;
        assert_eq!(result.unwrap_err().to_string(), message);
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_cleared_up_by_the_key() {
    let engine = ObservedEngine::new();
    let store = EventStore::open::<Account>(engine.clone()).await.unwrap();
    for (fault, is_repeat) in [(Fault::AfterCommit, true), (Fault::Lost, false)] {
        engine.fail_commits(&[fault]);
        let key = format!("{fault:?}");
        let committed = store
            .unit()
            .retry(quick(3))
            .once(&key)
            .run(async |ctx| {
                let mut account = ctx.load_or_create::<Account>(&key).await?;
                ctx.apply(&mut account, Deposited(1))
            })
            .await
            .unwrap();
        assert_eq!(committed.is_repeat(), is_repeat, "{fault:?}");
        assert_eq!(store.load_by_key::<Account>(&key).await.unwrap().balance(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn without_a_key_an_unknown_outcome_is_not_retried() {
    let engine = ObservedEngine::new();
    let store = EventStore::open::<User>(engine.clone()).await.unwrap();
    engine.fail_commits(&[Fault::AfterCommit]);
    let result = store
        .unit()
        .retry(quick(3))
        .run(async |ctx| ctx.create_with_key::<User>("john").await.map(drop))
        .await;
    let error = result.unwrap_err();
    let Error::OutcomeUnknown { aggregates, .. } = &error else { panic!("{error}") };
    assert_eq!(aggregates.len(), 1);
    assert!(!error.is_conflict() && !error.is_temporary());
    assert!(store.read_only().exists_by_key::<User>("john").await.unwrap());
}

async fn stored_account(store: &EventStore, key: &str, balance: i64) -> evercore::AggregateId<Account> {
    store
        .with_context(async |ctx| {
            let mut account = ctx.create_with_key::<Account>(key).await?;
            ctx.apply(&mut account, Deposited(balance))?;
            Ok(account.id())
        })
        .await
        .unwrap()
}

// The events of this run were not written: those of the first one were.
#[tokio::test]
async fn a_copy_that_gets_out_of_a_repeat_cannot_be_used() {
    let store = store().await;
    let copy = std::sync::Mutex::new(None);
    let visit = async || {
        store
            .unit()
            .once("visit")
            .run(async |ctx| {
                let mut account = ctx.create::<Account>().await?;
                ctx.apply(&mut account, Deposited(5))?;
                *copy.lock().unwrap() = Some(account);
                Ok(())
            })
            .await
            .unwrap()
    };
    assert!(!visit().await.is_repeat());
    let mut first = copy.lock().unwrap().take().unwrap();
    assert!(visit().await.is_repeat());
    let mut second = copy.lock().unwrap().take().unwrap();
    let ctx = store.begin();
    assert!(matches!(ctx.apply(&mut second, Deposited(1)), Err(Error::Uncommitted(_))));
    ctx.apply(&mut first, Deposited(1)).unwrap();
    ctx.commit().await.unwrap();
}

/// `Account` as a later version of the program knows it, with an event that the store does not know yet.
#[derive(Debug, Default, evercore::Aggregate)]
#[aggregate(events(Deposited, Emptied), name = "Account", snapshot = off)]
struct LaterAccount {}

#[evercore::event]
struct Emptied {}

impl evercore::Apply<Deposited> for LaterAccount {
    fn apply(&mut self, _event: &Deposited) {}
}

impl evercore::Apply<Emptied> for LaterAccount {
    fn apply(&mut self, _event: &Emptied) {}
}

#[tokio::test]
async fn a_busy_engine_is_asked_again_also_when_a_commit_has_to_define_types() {
    let engine = ObservedEngine::new();
    let store = EventStore::open::<Account>(engine.clone()).await.unwrap();
    let (id, _) = store.unit().run(async |ctx| Ok(ctx.create::<Account>().await?.id())).await.unwrap();
    let id = id.untyped().typed::<LaterAccount>();
    engine.fail_definitions(1);
    let empty = async |ctx: evercore::Context| {
        let mut account = ctx.load(id).await?;
        ctx.apply(&mut account, Emptied {})
    };
    store.unit().retry(quick(3)).run(empty).await.unwrap();
    assert_eq!(store.load(id).await.unwrap().sequence().get(), 1);
}

// What an earlier operation met does not say that a commit may be made twice.
#[tokio::test]
async fn without_a_key_an_unknown_outcome_is_not_retried_whatever_happened_before() {
    let engine = ObservedEngine::new();
    let store = EventStore::open::<Account>(engine.clone()).await.unwrap();
    engine.fail_definitions(1);
    engine.fail_commits(&[Fault::AfterCommit]);
    let runs = AtomicU32::new(0);
    let result = store
        .unit()
        .retry(quick(3))
        .run(async |ctx| {
            runs.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = ctx.create::<User>().await {
                assert!(error.is_temporary(), "{error}");
            }
            ctx.create::<Account>().await.map(drop)
        })
        .await;
    assert!(matches!(result, Err(Error::OutcomeUnknown { .. })), "{result:?}");
    assert_eq!(runs.into_inner(), 1);
    assert_eq!(store.read_only().ids::<Account>(None, 9).await.unwrap().len(), 1);
}
