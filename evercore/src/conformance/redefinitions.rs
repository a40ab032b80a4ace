//! Subscriptions that are run with another filter than the stored one, and those that are reset.

use super::{
    Harness,
    runs::{NOTHING, Run, cursor, log, positions, status, subscription},
    samples::{Account, Deposited, Opened, Order, open, stored_account},
    subscribers::NAME,
};
use crate::{Error, EventStore, StartFrom};

/// A store with events of an account and a subscription that has handled the first of them, and all positions.
async fn with_one_handled(harness: &impl Harness) -> (EventStore, Vec<i64>) {
    let store = open(harness).await;
    stored_account(&store, "ada", 5).await;
    let log = positions(&log(&store).await);
    let mut run = Run::of(subscription(&store).event::<Opened>());
    assert_eq!(run.next().await, log[0]);
    run.stop().await;
    (store, log)
}

pub(super) async fn another_filter_is_a_mismatch<H: Harness>(harness: H) {
    let (store, log) = with_one_handled(&harness).await;
    let before = status(&store).await;
    for (subscription, other) in [
        (subscription(&store), "all events"),
        (subscription(&store).event::<Deposited>(), "Deposited"),
        (subscription(&store).event::<Opened>().event::<Deposited>(), "Deposited, Opened"),
        (subscription(&store).event::<Opened>().aggregate::<Account>(), "Account"),
        (subscription(&store).event::<Opened>().key::<Account>("ada"), "\"ada\""),
    ] {
        let (handled, error) = Run::of(subscription).failed().await;
        match error {
            Error::SubscriptionMismatch { name, stored, wanted } => {
                assert_eq!((&*name, stored.contains("Opened")), (NAME, true), "{stored}");
                assert!(wanted.contains(other), "{wanted}");
            }
            other => panic!("a mismatch was expected, not {other:?}"),
        }
        assert_eq!(handled, NOTHING);
    }
    let after = status(&store).await;
    assert_eq!((after.filter, after.cursor, after.owner), (before.filter, before.cursor, None));
    // The right one goes on where it was.
    store.pause_subscription(NAME).await.unwrap();
    store.resume_subscription(NAME).await.unwrap();
    let run = Run::of(subscription(&store).event::<Opened>());
    store.wait_until_caught_up(NAME, super::runs::SOON).await.unwrap();
    assert_eq!(run.stop().await, NOTHING);
    assert!(cursor(&store).await >= log[0]);
}

pub(super) async fn one_that_is_redefined_goes_on_at_its_cursor<H: Harness>(harness: H) {
    let store = open(&harness).await;
    stored_account(&store, "ada", 5).await;
    let mut run = Run::of(subscription(&store).event::<Opened>().batch_size(1));
    run.next().await;
    run.stop().await;
    let cursor = cursor(&store).await;
    stored_account(&store, "eve", 2).await;
    let log = log(&store).await;

    let mut run = Run::of(subscription(&store).event::<Deposited>().redefine());
    let expected = positions(log.iter().filter(|event| event.event_type() == "Deposited"));
    let expected: Vec<_> = expected.into_iter().filter(|position| *position > cursor).collect();
    assert_eq!(run.take(expected.len()).await, expected);
    assert_eq!(run.stop().await, NOTHING);
    assert_eq!(status(&store).await.filter, "events Deposited");
    let (_, error) = Run::of(subscription(&store).event::<Opened>()).failed().await;
    assert!(matches!(error, Error::SubscriptionMismatch { .. }), "{error:?}");
}

pub(super) async fn one_that_is_reset_starts_anew<H: Harness>(harness: H) {
    let (store, log) = with_one_handled(&harness).await;
    let mut run = Run::of(subscription(&store).reset(StartFrom::Beginning));
    assert_eq!(run.take(6).await, log);
    assert_eq!(run.stop().await, NOTHING);
    let mut run = Run::of(subscription(&store).reset(StartFrom::After(crate::Position::new(log[3]))));
    assert_eq!(run.take(2).await, log[4..]);
    assert_eq!(run.stop().await, NOTHING);
    store.reset_subscription(NAME, StartFrom::Beginning).await.unwrap();
    assert_eq!(cursor(&store).await, 0);
    let mut run = Run::of(subscription(&store));
    assert_eq!(run.take(6).await, log);
    assert_eq!(run.stop().await, NOTHING);
}

pub(super) async fn a_key_is_followed_to_the_aggregate_that_had_it<H: Harness>(harness: H) {
    let store = open(&harness).await;
    let ada = stored_account(&store, "ada", 1).await;
    let by_key = |store: &EventStore| subscription(store).key::<Account>("ada");
    let mut run = Run::of(by_key(&store));
    run.take(2).await;
    run.stop().await;
    let rename = store.with_context(async |ctx| ctx.change_key(&mut ctx.load(ada).await?, "ida"));
    rename.await.unwrap();
    stored_account(&store, "ada", 1).await;
    super::samples::deposit_once(&store, ada).await.unwrap();

    let mut run = Run::of(by_key(&store));
    assert_eq!([run.next().await], positions(&log(&store).await)[4..]);
    assert_eq!(run.stop().await, NOTHING);
    let nobody = store.subscription("nobody").key::<Order>("ada");
    let (_, error) = Run::of(nobody).failed().await;
    assert!(error.is_not_found(), "{error:?}");
}
