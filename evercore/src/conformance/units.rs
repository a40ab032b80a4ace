//! Units of work, through the store.

use std::{fmt::Debug, sync::Arc};

use tokio::sync::Barrier;

use super::{
    Harness,
    samples::{
        Account, Deposited, Opened, Order, all, deposit, deposit_once, open, open_two, stored_account,
    },
};
use crate::{
    AggregateId, Committed, Context, Error, EventStore, NaturalKey, Position, Receipt, Result, RetryPolicy,
    Sequence,
};

pub(super) async fn a_dropped_one_writes_nothing<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 1).await;
    let head = store.head().await.unwrap();

    let ctx = store.begin();
    let mut account = ctx.load(id).await.unwrap();
    ctx.apply(&mut account, deposit()).unwrap();
    ctx.change_key(&mut account, "ida").unwrap();
    ctx.save_snapshot(&account).unwrap();
    let mut created = ctx.create_with_key::<Account>("eve").await.unwrap();
    ctx.apply(&mut created, deposit()).unwrap();
    drop(ctx);

    assert_eq!(store.head().await.unwrap(), head);
    let stored = store.load_by_key::<Account>("ada").await.unwrap();
    assert_eq!((stored.id(), stored.sequence(), stored.balance), (id, Sequence::new(2), 1));
    assert!(store.load_by_key::<Account>("ida").await.unwrap_err().is_not_found());
    assert!(store.load_by_key::<Account>("eve").await.unwrap_err().is_not_found());
    assert!(store.load(created.id()).await.unwrap_err().is_not_found());
}

pub(super) async fn a_copy_from_a_dropped_one_leaves_no_gap<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let mut stale = store.load(id).await.unwrap();
    store.begin().apply(&mut stale, deposit()).unwrap();
    let mut unborn = store.begin().create::<Account>().await.unwrap();

    let ctx = store.begin();
    assert!(matches!(ctx.apply(&mut stale, deposit()), Err(Error::Uncommitted(_))));
    assert!(matches!(ctx.apply(&mut unborn, deposit()), Err(Error::Uncommitted(_))));
    ctx.commit().await.unwrap();
    deposit_once(&store, id).await.unwrap();
    assert_whole(&store, id, 2).await;
    assert!(store.load(unborn.id()).await.unwrap_err().is_not_found());
}

pub(super) async fn a_copy_from_a_failed_one_leaves_no_gap<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let ctx = store.begin();
    let mut stale = ctx.load(id).await.unwrap();
    ctx.apply(&mut stale, deposit()).unwrap();
    deposit_once(&other, id).await.unwrap();
    assert_conflict(&ctx.commit().await, 1, 2);

    let ctx = store.begin();
    assert!(matches!(ctx.apply(&mut stale, deposit()), Err(Error::Uncommitted(_))));
    drop(ctx);
    deposit_once(&store, id).await.unwrap();
    assert_whole(&store, id, 3).await;
}

pub(super) async fn a_copy_that_is_behind_is_a_conflict<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let mut behind = store.load(id).await.unwrap();
    for _ in 0..3 {
        deposit_once(&other, id).await.unwrap();
    }
    let ctx = store.begin();
    ctx.apply(&mut behind, deposit()).unwrap();
    assert_conflict(&ctx.commit().await, 1, 4);
    assert_whole(&store, id, 4).await;
}

pub(super) async fn a_committed_copy_is_used_again<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let ctx = store.begin();
    let mut account = ctx.create_with_key::<Account>("ada").await.unwrap();
    ctx.apply(&mut account, Opened { owner: "ada".to_owned() }).unwrap();
    ctx.commit().await.unwrap();
    for _ in 0..3 {
        let ctx = store.begin();
        ctx.apply(&mut account, deposit()).unwrap();
        ctx.commit().await.unwrap();
    }
    assert_eq!(store.load(account.id()).await.unwrap().state(), account.state());
    assert_whole(&store, account.id(), 4).await;
}

pub(super) async fn it_reads_its_own_events<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let ctx = store.begin();
    let mut account = ctx.load(id).await.unwrap();
    ctx.apply(&mut account, Deposited { amount: 40 }).unwrap();
    let mut created = ctx.create::<Account>().await.unwrap();
    ctx.apply(&mut created, Deposited { amount: 2 }).unwrap();

    let loaded = ctx.load_many(&[created.id(), id]).await.unwrap();
    let seen: Vec<_> = loaded.iter().map(|account| (account.sequence().get(), account.balance)).collect();
    assert_eq!(seen, [(1, 2), (2, 40)]);
    assert_eq!(store.load(id).await.unwrap().balance, 0, "others do not see them");
    ctx.commit().await.unwrap();
    assert_eq!(store.load(id).await.unwrap().balance, 40);
}

pub(super) async fn it_reads_its_own_keys<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let ctx = store.begin();
    let mut account = ctx.load(id).await.unwrap();
    ctx.change_key(&mut account, "ida").unwrap();
    assert!(!ctx.exists_by_key::<Account>("ada").await.unwrap());
    assert_eq!(ctx.load_by_key::<Account>("ida").await.unwrap().id(), id);
    let successor = ctx.load_or_create::<Account>("ada").await.unwrap();
    assert_ne!(successor.id(), id);
    assert_eq!(ctx.load_or_create::<Account>("ada").await.unwrap().id(), successor.id());
    assert_eq!(store.load_by_key::<Account>("ada").await.unwrap().id(), id, "others see the stored key");
    ctx.commit().await.unwrap();
    assert_eq!(store.load_by_key::<Account>("ada").await.unwrap().id(), successor.id());
    assert_eq!(store.load_by_key::<Account>("ida").await.unwrap().id(), id);
}

pub(super) async fn a_copy_behind_its_own_events_is_stale<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let ctx = store.begin();
    let (mut first, mut second) = (ctx.load(id).await.unwrap(), ctx.load(id).await.unwrap());
    ctx.apply(&mut first, deposit()).unwrap();
    match ctx.apply(&mut second, deposit()) {
        Err(Error::StaleCopy { copy, current, .. }) => {
            assert_eq!((copy, current), (Sequence::new(1), Sequence::new(2)));
        }
        other => panic!("a stale copy was expected, not {other:?}"),
    }
    assert_eq!(second.balance, 0, "the stale copy is as before");
    ctx.apply(&mut first, deposit()).unwrap();
    ctx.commit().await.unwrap();
    assert_whole(&store, id, 3).await;
}

pub(super) async fn an_unknown_aggregate_is_not_found<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let unknown = AggregateId::<Account>::new(i64::MAX);
    let ctx = store.begin();
    assert!(ctx.load(unknown).await.unwrap_err().is_not_found());
    assert!(ctx.load_many(&[id, unknown]).await.unwrap_err().is_not_found());
    assert!(ctx.load_by_key::<Account>("eve").await.unwrap_err().is_not_found());
    assert!(ctx.load_by_key::<Order>("ada").await.unwrap_err().is_not_found());
    assert!(ctx.history(unknown).await.unwrap_err().is_not_found());
    let wrong = ctx.load::<Order>(id.untyped().typed()).await.unwrap_err();
    assert!(matches!(wrong, Error::WrongType { .. }), "{wrong:?}");
}

pub(super) async fn after_its_commit_it_is_closed<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let mut account = store.load(id).await.unwrap();
    let ctx = store.begin();
    ctx.apply(&mut account, deposit()).unwrap();
    ctx.commit().await.unwrap();
    assert_closed(&ctx, &mut account).await;
    assert_whole(&store, id, 2).await;
}

pub(super) async fn after_a_failed_commit_it_is_closed_too<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let (mut loser, mut fresh) = (store.load(id).await.unwrap(), store.load(id).await.unwrap());
    deposit_once(&store, id).await.unwrap();
    let ctx = store.begin();
    ctx.apply(&mut loser, deposit()).unwrap();
    assert_conflict(&ctx.commit().await, 1, 2);
    assert_closed(&ctx, &mut fresh).await;
    assert_whole(&store, id, 2).await;
}

async fn assert_closed(ctx: &Context, account: &mut crate::StateAggregate<Account>) {
    let id = account.id();
    assert_closed_error(&ctx.apply(account, deposit()));
    assert_closed_error(&ctx.change_key(account, "late"));
    assert_closed_error(&ctx.require_unchanged(account));
    assert_closed_error(&ctx.save_snapshot(account));
    assert_closed_error(&ctx.load(id).await);
    assert_closed_error(&ctx.load_by_key::<Account>("ada").await);
    assert_closed_error(&ctx.create::<Account>().await);
    assert_closed_error(&ctx.load_or_create::<Account>("late").await);
    assert_closed_error(&ctx.history(id).await);
    assert_closed_error(&ctx.commit().await);
}

#[track_caller]
fn assert_closed_error<T: Debug>(result: &Result<T>) {
    assert!(matches!(result, Err(Error::ContextClosed)), "{result:?}");
}

pub(super) async fn a_taken_key_is_a_duplicate<H: Harness>(harness: H) {
    let store = open(&harness).await;
    stored_account(&store, "ada", 0).await;
    let ctx = store.begin();
    ctx.create_with_key::<Account>("ada").await.unwrap();
    match ctx.commit().await {
        Err(Error::DuplicateKey { key, load_or_create, .. }) => {
            assert_eq!((key, load_or_create), (NaturalKey::new("ada").unwrap(), false));
        }
        other => panic!("a duplicate key was expected, not {other:?}"),
    }
    store.with_context(async |ctx| ctx.create_with_key::<Order>("ada").await).await.unwrap();
}

pub(super) async fn keys_are_swapped_in_one<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let (ada, eve) = (stored_account(&store, "ada", 0).await, stored_account(&store, "eve", 0).await);
    let swap = async |ctx: Context| {
        let (mut first, mut second) = (ctx.load(ada).await?, ctx.load(eve).await?);
        ctx.change_key(&mut first, "eve")?;
        ctx.change_key(&mut second, "ada")
    };
    store.with_context(swap).await.unwrap();
    assert_eq!(store.load_by_key::<Account>("ada").await.unwrap().id(), eve);
    assert_eq!(store.load_by_key::<Account>("eve").await.unwrap().id(), ada);
}

pub(super) async fn more_than_ten_thousand_events_in_one<H: Harness>(harness: H) {
    const COUNT: usize = 10_001;
    let store = open(&harness).await;
    let ctx = store.begin();
    let mut order = ctx.create::<Order>().await.unwrap();
    for _ in 0..COUNT {
        ctx.apply(&mut order, deposit()).unwrap();
    }
    ctx.commit().await.unwrap();
    assert_eq!(store.load(order.id()).await.unwrap().deposits, COUNT);
    let history = store.begin().history(order.id()).await.unwrap();
    assert_eq!(history.events.len(), COUNT);
    assert!(history.events.iter().zip(1..).all(|(event, sequence)| event.sequence().get() == sequence));
}

pub(super) async fn the_receipt_says_what_was_written<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let required = stored_account(&store, "required", 0).await;
    let ctx = store.begin();
    ctx.require_unchanged(&ctx.load(required).await.unwrap()).unwrap();
    let mut created = ctx.create_with_key::<Account>("ada").await.unwrap();
    ctx.apply(&mut created, deposit()).unwrap();
    ctx.apply(&mut created, deposit()).unwrap();
    let receipt = ctx.commit().await.unwrap();

    assert_eq!(receipt.last_position(), Some(store.head().await.unwrap()));
    let events = store.begin().history(created.id()).await.unwrap().events;
    assert_eq!(events[1].recorded_at(), receipt.committed_at());
    let [written] = receipt.aggregates() else { panic!("one aggregate was written: {receipt:?}") };
    assert_eq!((written.id, written.sequence), (created.id().untyped(), Sequence::new(2)));
    assert_eq!(written.key.as_ref(), created.key());
}

pub(super) async fn a_required_aggregate_that_has_changed_is_a_conflict<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let (required, changed) =
        (stored_account(&store, "ada", 0).await, stored_account(&store, "eve", 0).await);
    let ctx = store.begin();
    ctx.require_unchanged(&ctx.load(required).await.unwrap()).unwrap();
    ctx.apply(&mut ctx.load(changed).await.unwrap(), deposit()).unwrap();
    deposit_once(&other, required).await.unwrap();
    assert_conflict(&ctx.commit().await, 1, 2);
    assert_whole(&store, changed, 1).await;
}

pub(super) async fn of_two_that_require_what_the_other_writes_at_most_one_commits<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let (left, right) = (stored_account(&store, "left", 0).await, stored_account(&store, "right", 0).await);
    for _ in 0..30 {
        let one = write_and_require(&store, left, right).await.unwrap();
        let two = write_and_require(&other, right, left).await.unwrap();
        let commits = [one, two].map(|ctx| tokio::spawn(async move { ctx.commit().await }));
        let answers = all(commits.into()).await;
        let committed = answers.iter().filter(|answer| answer.is_ok()).count();
        assert!(committed <= 1, "both wrote what the other required");
        for error in answers.into_iter().filter_map(Result::err) {
            assert!(error.is_conflict(), "{error:?}");
        }
    }
}

async fn write_and_require(
    store: &EventStore,
    write: AggregateId<Account>,
    require: AggregateId<Account>,
) -> Result<Context> {
    let ctx = store.begin();
    ctx.apply(&mut ctx.load(write).await?, deposit())?;
    ctx.require_unchanged(&ctx.load(require).await?)?;
    Ok(ctx)
}

pub(super) async fn sixty_four_at_once_with_retry_count_to_sixty_four<H: Harness>(harness: H) {
    let stores = open_two(&harness).await;
    let id = stored_account(&stores[0], "ada", 0).await;
    let tasks = stores.iter().cycle().take(64).cloned().map(|store| {
        tokio::spawn(async move {
            let unit = store.unit().retry(RetryPolicy::default().with_attempts(200));
            unit.run(async |ctx| ctx.apply(&mut ctx.load(id).await?, deposit())).await
        })
    });
    for answer in all(tasks.collect()).await {
        answer.unwrap();
    }
    assert_eq!(stores[0].load(id).await.unwrap().balance, 64);
    assert_whole(&stores[1], id, 65).await;
}

pub(super) async fn those_who_load_or_create_at_once_share_one<H: Harness>(harness: H) {
    let stores = open_two(&harness).await;
    let tasks = stores.iter().cycle().take(16).cloned().map(|store| {
        tokio::spawn(async move {
            let unit = store.unit().retry(RetryPolicy::default().with_attempts(200));
            let work =
                async |ctx: Context| ctx.apply(&mut ctx.load_or_create::<Account>("ada").await?, deposit());
            unit.run(work).await
        })
    });
    for answer in all(tasks.collect()).await {
        answer.unwrap();
    }
    let account = stores[0].load_by_key::<Account>("ada").await.unwrap();
    assert_eq!(account.balance, 16);
    assert_eq!(stores[0].begin().ids::<Account>(None, 10).await.unwrap(), [account.id()]);
}

pub(super) async fn once_under_one_key_is_made_once<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let first = place_order(&store, "4711").await.unwrap();
    let Committed::Fresh(id, receipt) = first else { panic!("nothing was committed before: {first:?}") };
    let second = place_order(&other, "4711").await.unwrap();
    assert_eq!(second, Committed::Repeat(receipt));
    assert_eq!(store.load(id).await.unwrap().deposits, 1);
    assert_eq!(store.begin().ids::<Order>(None, 10).await.unwrap(), [id]);
}

pub(super) async fn many_under_one_key_at_once_are_made_once<H: Harness>(harness: H) {
    let stores = open_two(&harness).await;
    let start = Arc::new(Barrier::new(16));
    let tasks = stores.iter().cycle().take(16).cloned().map(|store| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            place_order(&store, "4711").await.unwrap()
        })
    });
    let answers = all(tasks.collect()).await;
    let (repeats, fresh): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.is_repeat());
    assert_eq!(fresh.len(), 1);
    assert!(repeats.iter().all(|repeat| repeat.receipt() == fresh[0].receipt()), "{answers:?}");
    assert_eq!(stores[0].begin().ids::<Order>(None, 10).await.unwrap().len(), 1);
}

pub(super) async fn other_content_under_one_key_is_an_error<H: Harness>(harness: H) {
    let store = open(&harness).await;
    place_order(&store, "4711").await.unwrap();
    let head = store.head().await.unwrap();
    let work = async |ctx: Context| ctx.apply(&mut ctx.create_with_key::<Account>("4711").await?, deposit());
    let error = store.unit().once("order-4711").run(work).await.unwrap_err();
    assert!(matches!(&error, Error::KeyReused { key, .. } if key == "order-4711"), "{error:?}");
    assert_eq!(store.head().await.unwrap(), head);
    assert!(store.load_by_key::<Account>("4711").await.unwrap_err().is_not_found());
}

async fn place_order(store: &EventStore, number: &str) -> Result<Committed<AggregateId<Order>>> {
    let work = async |ctx: Context| {
        let mut order = ctx.create_with_key::<Order>(number).await?;
        ctx.apply(&mut order, deposit())?;
        Ok(order.id())
    };
    store.unit().once(format!("order-{number}")).run(work).await
}

/// The account has exactly the events 1, 2 … `version`.
async fn assert_whole(store: &EventStore, id: AggregateId<Account>, version: i64) {
    let history = store.begin().history(id).await.unwrap();
    assert_eq!(history.version, Sequence::new(version));
    let sequences: Vec<_> = history.events.iter().map(|event| event.sequence().get()).collect();
    assert_eq!(sequences, (1..=version).collect::<Vec<_>>());
    assert!(history.events.iter().all(|event| event.position() > Position::START));
}

#[track_caller]
fn assert_conflict(result: &Result<Receipt>, at: i64, found: i64) {
    match result {
        Err(Error::Conflict { expected, actual, .. }) => {
            assert_eq!((*expected, *actual), (Sequence::new(at), Some(Sequence::new(found))));
        }
        other => panic!("a conflict was expected, not {other:?}"),
    }
}
