//! What a subscription is, over several runs.

use evercore::{Error, EventStore, Position, StartFrom, SubscriptionState};
use evercore_memory::MemoryEngine;

use super::{
    faulty::{Fault, FaultyEngine, Gate, LOST, Op},
    support::{LONG, Runner, deposit, durable, open, soon, status},
};
use crate::domain::{Account, Deposited, User, UserCreated, UserLoggedIn, log_in, stored_user};

#[tokio::test]
async fn another_filter_is_a_mismatch_that_shows_both() {
    let store = open(MemoryEngine::new()).await;
    let logins = || durable(&store).aggregate::<User>().event::<UserLoggedIn>();
    Runner::to_head(&store, "s", logins()).await;
    let others = [
        durable(&store),
        durable(&store).aggregate::<User>(),
        durable(&store).event::<UserLoggedIn>(),
        durable(&store).aggregate::<Account>().event::<UserLoggedIn>(),
        logins().event::<UserCreated>(),
        logins().id(evercore::AggregateId::<User>::new(1)),
    ];
    for other in others {
        let error = Runner::of(other).ended().await.unwrap_err();
        let Error::SubscriptionMismatch { name, stored, wanted } = error else { panic!("{error:?}") };
        assert_eq!(&*name, "s");
        assert_eq!(&*stored, "aggregates of User; events UserLoggedIn");
        assert_ne!(stored, wanted);
    }
    // It was given up again.
    assert_eq!(status(&store, "s").await.owner, None);
    // Order and repetition make no difference.
    let same = durable(&store).event::<UserLoggedIn>().aggregate::<User>().event::<UserLoggedIn>();
    Runner::to_head(&store, "s", same).await;
}

#[tokio::test]
async fn a_mismatch_names_what_is_wanted() {
    let store = open(MemoryEngine::new()).await;
    Runner::to_head(&store, "s", durable(&store)).await;
    let error = Runner::of(durable(&store).key::<User>("john").event::<UserLoggedIn>()).ended().await;
    let Err(Error::SubscriptionMismatch { stored, wanted, .. }) = error else { panic!("{error:?}") };
    assert_eq!(&*stored, "all events");
    assert_eq!(&*wanted, "events UserLoggedIn; the User with the key \"john\"");
}

#[tokio::test]
async fn redefined_it_goes_on_with_the_new_filter_where_it_was() {
    let store = open(MemoryEngine::new()).await;
    stored_user(&store, "john", 1).await;
    assert_eq!(Runner::to_head(&store, "s", durable(&store).event::<UserLoggedIn>()).await, [2]);
    let id = stored_user(&store, "jane", 1).await;
    let created = || durable(&store).event::<UserCreated>();
    assert_eq!(Runner::to_head(&store, "s", created().redefine()).await, [3]);
    log_in(&store, id).await;
    assert!(Runner::to_head(&store, "s", created()).await.is_empty());
    assert_eq!(status(&store, "s").await.filter, "events UserCreated");
    assert!(Runner::of(durable(&store).event::<UserLoggedIn>()).ended().await.is_err());
}

#[tokio::test]
async fn reset_it_starts_anew_with_each_run() {
    let store = open(MemoryEngine::new()).await;
    deposit(&store, 3).await;
    assert_eq!(Runner::to_head(&store, "s", durable(&store)).await, [1, 2, 3]);
    let again = || durable(&store).event::<Deposited>().reset(StartFrom::After(Position::new(1)));
    for _ in 0..2 {
        let mut runner = Runner::of(again());
        assert_eq!(runner.take(2).await, [2, 3]);
        assert!(runner.stop().await.is_empty());
    }
    assert!(Runner::to_head(&store, "s", durable(&store).event::<Deposited>()).await.is_empty());
}

#[tokio::test]
async fn changes_of_the_definition_survive_a_lost_answer() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 3).await;
    Runner::to_head(&store, "s", durable(&store)).await;
    for op in [Op::Define, Op::List, Op::Claim, Op::Change, Op::ReadLog, Op::Head] {
        engine.disturb(op, [LOST, Fault::AnswerLost]);
    }
    let again = durable(&store).event::<Deposited>().reset(StartFrom::Beginning);
    let mut runner = Runner::of(again);
    assert_eq!(runner.take(3).await, [1, 2, 3]);
    assert!(runner.stop().await.is_empty());
}

#[tokio::test]
async fn of_two_first_runs_at_once_one_defines_it() {
    let engine = FaultyEngine::new();
    let (first, second) = (open(engine.clone()).await, open(engine.reopen()).await);
    let gate = Gate::new();
    engine.disturb(Op::Define, [Fault::Before(gate.clone())]);
    let late = Runner::of(durable(&first).start(StartFrom::End).standby());
    gate.reached().await;
    deposit(&second, 2).await;
    let mut early = Runner::of(durable(&second));
    assert_eq!(early.take(2).await, [1, 2]);
    assert!(early.stop().await.is_empty());
    gate.open();
    deposit(&second, 1).await;
    let mut late = late;
    assert_eq!(late.take(1).await, [3]);
    assert!(late.stop().await.is_empty());
}

#[tokio::test]
async fn a_key_is_looked_up_once_and_its_aggregate_followed() {
    let store = open(MemoryEngine::new()).await;
    let john = stored_user(&store, "john", 0).await;
    let by_key = || durable(&store).key::<User>("john");
    assert_eq!(Runner::to_head(&store, "s", by_key()).await, [1]);
    let rename = async |ctx: evercore::Context| {
        let mut user = ctx.load(john).await?;
        ctx.change_key(&mut user, "johnny")
    };
    store.with_context(rename).await.unwrap();
    stored_user(&store, "john", 1).await;
    log_in(&store, john).await;
    assert_eq!(Runner::to_head(&store, "s", by_key()).await, [4]);
    // By its id it is the same one.
    assert!(Runner::to_head(&store, "s", durable(&store).id(john)).await.is_empty());
    let other = durable(&store).id(evercore::AggregateId::<User>::new(john.get() + 1));
    assert!(matches!(Runner::of(other).ended().await, Err(Error::SubscriptionMismatch { .. })));
}

#[tokio::test]
async fn a_key_that_nobody_has_is_an_error_and_defines_nothing() {
    let store = open(MemoryEngine::new()).await;
    let ended = Runner::of(durable(&store).key::<User>("nobody")).ended().await;
    assert!(ended.unwrap_err().is_not_found());
    assert!(store.subscriptions().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_key_of_a_type_that_another_process_defined_is_found() {
    let engine = MemoryEngine::new();
    let store = EventStore::open::<Account>(engine.clone()).await.unwrap();
    let other = open(engine.reopen()).await;
    stored_user(&other, "john", 1).await;
    let mut runner = Runner::of(durable(&store).key::<User>("john"));
    assert_eq!(runner.take(2).await, [1, 2]);
    assert!(runner.stop().await.is_empty());
}

#[tokio::test]
async fn a_name_that_no_store_can_keep_is_refused() {
    let store = open(MemoryEngine::new()).await;
    for name in [String::new(), "x".repeat(256), "a\0b".to_owned()] {
        let ended = Runner::of(store.subscription(&name)).ended().await;
        assert!(matches!(ended, Err(Error::InvalidText(_))), "{ended:?}");
        let ended = Runner::of(store.subscription("s").owner(name)).ended().await;
        assert!(matches!(ended, Err(Error::InvalidText(_))), "{ended:?}");
    }
    assert!(store.subscriptions().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_log_that_was_rewound_is_noticed_at_the_start() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    deposit(&store, 3).await;
    assert_eq!(Runner::to_head(&store, "s", durable(&store)).await, [1, 2, 3]);
    engine.lose(3);
    let ended = Runner::of(durable(&store)).ended().await;
    assert!(matches!(&ended, Err(Error::LogRewound { action, .. }) if action.contains("\"s\"")), "{ended:?}");
    let state = status(&store, "s").await.state;
    assert!(matches!(&state, SubscriptionState::Failed(why) if why.contains("position 3")), "{state:?}");
    let anew = durable(&store).reset(StartFrom::After(Position::new(1)));
    let mut runner = Runner::of(anew);
    assert_eq!(runner.next().await, [2]);
    soon(store.wait_until_caught_up("s", LONG)).await.unwrap();
    assert!(runner.stop().await.is_empty());
}

#[tokio::test]
async fn a_log_that_ends_before_what_was_passed_over_was_rewound() {
    let engine = FaultyEngine::new();
    let store = open(engine.clone()).await;
    let deposits = || durable(&store).event::<Deposited>();
    deposit(&store, 1).await;
    stored_user(&store, "john", 3).await;
    // The events of the user are passed over.
    assert_eq!(Runner::to_head(&store, "s", deposits()).await, [1]);
    assert_eq!(status(&store, "s").await.cursor.get(), 5);
    engine.rewind(2);
    let ended = Runner::of(deposits()).ended().await;
    assert!(matches!(&ended, Err(Error::LogRewound { .. })), "{ended:?}");
    assert!(ended.unwrap_err().to_string().contains("\"s\""));
}
