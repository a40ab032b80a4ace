//! Subscriptions as streams.

use futures_util::TryStreamExt as _;
use tokio::sync::oneshot;

use super::{
    Harness,
    runs::{cursor, log, positions, status, subscription},
    samples::{Account, AccountEvent, deposit_once, open, open_two, stored_account},
    subscribers::NAME,
};
use crate::{Error, EventStore, StartFrom, engine::Fenced};

/// A store with nine events, and their positions.
async fn with_nine(harness: &impl Harness) -> (EventStore, Vec<i64>) {
    let store = open(harness).await;
    stored_account(&store, "ada", 8).await;
    let log = positions(&log(&store).await);
    (store, log)
}

pub(super) async fn what_is_not_acknowledged_comes_again<H: Harness>(harness: H) {
    let (store, log) = with_nine(&harness).await;
    let mut stream = subscription(&store).batch_size(2).stream().await.unwrap();
    let mut batches = Vec::new();
    for expected in log[..8].chunks(2) {
        let (batch, acknowledge) = stream.try_next().await.unwrap().unwrap();
        assert_eq!(positions(&*batch), expected);
        batches.push(acknowledge);
    }
    assert_eq!(cursor(&store).await, 0, "it moves by acknowledgements alone");
    let [first, second, third, fourth] = batches.try_into().unwrap();
    first.done().await.unwrap();
    assert_eq!(cursor(&store).await, log[1]);
    third.done().await.unwrap();
    second.done().await.unwrap();
    assert_eq!(cursor(&store).await, log[5], "the third and all before it");
    stream.close().await;
    let error = fourth.done().await.unwrap_err();
    assert!(matches!(&error, Error::Fenced { reason: Fenced::Changed, .. }), "{error:?}");

    let mut stream = subscription(&store).batch_size(5).stream().await.unwrap();
    let (batch, acknowledge) = stream.try_next().await.unwrap().unwrap();
    assert_eq!(positions(&*batch), log[6..]);
    acknowledge.done().await.unwrap();
    drop(stream);
    assert_eq!(cursor(&store).await, log[8]);
    let error = subscription(&store).stream().await.unwrap_err();
    assert!(matches!(error, Error::AlreadyOwned { .. }), "a lease stays that was not given back: {error:?}");
}

pub(super) async fn one_that_was_taken_over_ends_with_an_error<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    stored_account(&store, "ada", 0).await;
    let mut stream = subscription(&store).stream().await.unwrap();
    let (_, acknowledge) = stream.try_next().await.unwrap().unwrap();
    other.reset_subscription(NAME, StartFrom::Beginning).await.unwrap();
    let error = acknowledge.done().await.unwrap_err();
    assert!(matches!(&error, Error::Fenced { reason: Fenced::Changed, .. }), "{error:?}");
    drop(stream);

    let mut stream = subscription(&store).stream().await.unwrap();
    let (_, acknowledge) = stream.try_next().await.unwrap().unwrap();
    store.pause_subscription(NAME).await.unwrap();
    let error = stream.try_next().await.unwrap_err();
    assert!(matches!(&error, Error::Fenced { reason: Fenced::Paused, .. }), "{error:?}");
    assert!(stream.try_next().await.unwrap().is_none(), "it has ended");
    acknowledge.done().await.unwrap_err();
    assert_eq!(cursor(&store).await, 0);
}

pub(super) async fn one_that_is_shut_down_ends<H: Harness>(harness: H) {
    let (store, log) = with_nine(&harness).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async { drop(stopped.await) };
    let mut stream = subscription(&store).until(until).stream().await.unwrap();
    let (batch, acknowledge) = stream.try_next().await.unwrap().unwrap();
    stop.send(()).unwrap();
    assert!(stream.try_next().await.unwrap().is_none());
    acknowledge.done().await.unwrap();
    assert_eq!(positions(&*batch), log);
    stream.close().await;
    let status = status(&store).await;
    assert_eq!((status.cursor.get(), status.owner), (log[8], None));
}

pub(super) async fn an_ephemeral_one_is_decoded<H: Harness>(harness: H) {
    let [store, other] = open_two(&harness).await;
    let id = stored_account(&store, "ada", 0).await;
    let stream = store.ephemeral_subscription().aggregate::<Account>().decode::<Account>().stream();
    let mut stream = stream.await.unwrap();
    for writer in [&store, &other, &store] {
        deposit_once(writer, id).await.unwrap();
        let decoded = stream.try_next().await.unwrap().unwrap();
        assert!(matches!(&decoded.event, AccountEvent::Deposited(deposited) if deposited.amount == 1));
        assert_eq!(decoded.recorded.position(), writer.head().await.unwrap());
    }
    assert_eq!(store.subscriptions().await.unwrap(), [], "nothing is stored");
}
