//! The unit of work: creating, loading, keys, and what it sees of itself.

use evercore::{AggregateId, Error, NaturalKey, Sequence};

use crate::domain::{Account, Deposited, User, UserLoggedIn, UserUpdated, created, store, stored_user};

#[tokio::test]
async fn what_is_committed_is_loaded_by_id_and_by_key() {
    let store = store().await;
    let ctx = store.begin();
    let mut user = ctx.create_with_key::<User>("john@example.com").await.unwrap();
    ctx.apply(&mut user, created("john")).unwrap();
    assert_eq!((user.username.as_str(), user.sequence().get()), ("john", 1));
    let receipt = ctx.commit().await.unwrap();

    let loaded = store.load(user.id()).await.unwrap();
    assert_eq!(loaded.state(), user.state());
    assert_eq!(loaded.key().map(NaturalKey::as_str), Some("john@example.com"));
    assert_eq!(store.load_by_key::<User>("john@example.com").await.unwrap().id(), user.id());

    let [written] = receipt.aggregates() else { panic!("{receipt:?}") };
    assert_eq!((written.aggregate_type.as_str(), written.id), ("User", user.id().untyped()));
    assert_eq!((written.key.as_ref(), written.sequence), (user.key(), Sequence::new(1)));
    assert_eq!(receipt.last_position(), Some(store.head().await.unwrap()));
}

#[tokio::test]
async fn an_aggregate_without_events_or_key_can_be_created() {
    let store = store().await;
    let ctx = store.begin();
    let account = ctx.create::<Account>().await.unwrap();
    let receipt = ctx.commit().await.unwrap();

    let loaded = store.load(account.id()).await.unwrap();
    assert_eq!((loaded.sequence(), loaded.key(), loaded.balance()), (Sequence::NONE, None, 0));
    assert_eq!((receipt.last_position(), receipt.aggregates().len()), (None, 1));
}

#[tokio::test]
async fn a_dropped_context_writes_nothing() {
    let store = store().await;
    let ctx = store.begin();
    let mut user = ctx.create_with_key::<User>("john").await.unwrap();
    ctx.apply(&mut user, created("john")).unwrap();
    drop(ctx);
    assert!(store.load(user.id()).await.unwrap_err().is_not_found());
    assert!(!store.read_only().exists_by_key::<User>("john").await.unwrap());
}

#[tokio::test]
async fn a_context_used_after_commit_is_an_error() {
    let store = store().await;
    let ctx = store.begin();
    let mut user = ctx.create_with_key::<User>("john").await.unwrap();
    ctx.commit().await.unwrap();

    let clone = ctx.clone();
    assert!(matches!(ctx.commit().await, Err(Error::ContextClosed)));
    assert!(matches!(clone.apply(&mut user, created("john")), Err(Error::ContextClosed)));
    assert!(matches!(clone.create::<User>().await, Err(Error::ContextClosed)));
    assert!(matches!(clone.load(user.id()).await, Err(Error::ContextClosed)));
    assert!(matches!(clone.load_by_key::<User>("john").await, Err(Error::ContextClosed)));
    assert!(matches!(clone.change_key(&mut user, "jane"), Err(Error::ContextClosed)));
    assert!(matches!(clone.require_unchanged(&user), Err(Error::ContextClosed)));
    assert!(matches!(clone.ids::<User>(None, 1).await, Err(Error::ContextClosed)));
    assert!(matches!(clone.history(user.id()).await, Err(Error::ContextClosed)));
    assert_eq!(store.load(user.id()).await.unwrap().sequence(), Sequence::NONE);
}

#[tokio::test]
async fn a_context_sees_its_own_aggregates_events_and_keys() {
    let store = store().await;
    let id = stored_user(&store, "john", 1).await;
    let ctx = store.begin();
    let mut john = ctx.load(id).await.unwrap();
    ctx.apply(&mut john, UserLoggedIn {}).unwrap();
    ctx.change_key(&mut john, "johnny").unwrap();
    let mut jane = ctx.create_with_key::<User>("jane").await.unwrap();
    ctx.apply(&mut jane, created("jane")).unwrap();

    let again = ctx.load(id).await.unwrap();
    assert_eq!((again.logins, again.sequence().get()), (2, 3));
    assert_eq!(again.key().map(NaturalKey::as_str), Some("johnny"));
    assert_eq!(ctx.load_by_key::<User>("johnny").await.unwrap().id(), id);
    assert!(ctx.load_by_key::<User>("john").await.unwrap_err().is_not_found());
    assert!(!ctx.exists_by_key::<User>("john").await.unwrap());
    assert_eq!(ctx.load_by_key::<User>("jane").await.unwrap().state(), jane.state());
    assert_eq!(ctx.load(jane.id()).await.unwrap().username, "jane");
    let both = ctx.load_many(&[jane.id(), id]).await.unwrap();
    assert_eq!((both[0].username.as_str(), both[1].logins), ("jane", 2));

    // The store does not see them yet, and neither does another context.
    assert_eq!(store.load(id).await.unwrap().logins, 1);
    assert_eq!(store.begin().load_by_key::<User>("john").await.unwrap().id(), id);
}

#[tokio::test]
async fn a_copy_loaded_from_the_view_can_be_used_further() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    let mut first = ctx.load(id).await.unwrap();
    ctx.apply(&mut first, UserLoggedIn {}).unwrap();
    let mut second = ctx.load(id).await.unwrap();
    ctx.apply(&mut second, UserLoggedIn {}).unwrap();

    let stale = ctx.apply(&mut first, UserLoggedIn {}).unwrap_err();
    let Error::StaleCopy { copy, current, .. } = stale else { panic!("{stale}") };
    assert_eq!((copy.get(), current.get()), (2, 3));
    assert_eq!(first.logins, 1, "the refused event left the copy alone");

    ctx.commit().await.unwrap();
    assert_eq!(store.load(id).await.unwrap().logins, 2);
}

#[tokio::test]
async fn a_copy_loaded_before_the_context_applied_events_is_stale() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    let (mut first, mut second) = tokio::join!(ctx.load(id), ctx.load(id));
    let (first, second) = (first.as_mut().unwrap(), second.as_mut().unwrap());
    ctx.apply(first, UserLoggedIn {}).unwrap();
    assert!(matches!(ctx.apply(second, UserLoggedIn {}), Err(Error::StaleCopy { .. })));
    assert!(matches!(ctx.save_snapshot(second), Err(Error::StaleCopy { .. })));
    assert!(matches!(ctx.change_key(second, "other"), Err(Error::StaleCopy { .. })));
    assert!(matches!(ctx.require_unchanged(second), Err(Error::StaleCopy { .. })));
}

#[tokio::test]
async fn a_view_over_an_aggregate_that_others_changed_is_a_conflict() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    let mut user = ctx.load(id).await.unwrap();
    ctx.apply(&mut user, UserLoggedIn {}).unwrap();
    store
        .with_context(async |other| {
            let mut user = other.load(id).await?;
            other.apply(&mut user, UserUpdated { email: Some("new".into()), ..UserUpdated::default() })
        })
        .await
        .unwrap();
    assert!(ctx.load(id).await.unwrap_err().is_conflict());

    // A copy that was loaded elsewhere has the right number, and another past.
    let mut elsewhere = store.load(id).await.unwrap();
    assert_eq!(elsewhere.sequence(), user.sequence());
    assert!(ctx.apply(&mut elsewhere, UserLoggedIn {}).unwrap_err().is_conflict());
}

#[tokio::test]
async fn keys_can_be_swapped_in_one_context() {
    let store = store().await;
    let (a, b) = (stored_user(&store, "a", 0).await, stored_user(&store, "b", 0).await);
    let ctx = store.begin();
    let (mut first, mut second) = (ctx.load(a).await.unwrap(), ctx.load(b).await.unwrap());
    ctx.change_key(&mut first, "b").unwrap();
    ctx.change_key(&mut second, "a").unwrap();
    assert_eq!(ctx.find_by_key::<User>("a").await.unwrap(), Some(b));
    ctx.commit().await.unwrap();
    assert_eq!(store.load_by_key::<User>("a").await.unwrap().id(), b);
    assert_eq!(store.load_by_key::<User>("b").await.unwrap().id(), a);
}

#[tokio::test]
async fn a_freed_key_can_be_given_to_a_new_aggregate_in_the_same_context() {
    let store = store().await;
    let old = stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    let mut user = ctx.load(old).await.unwrap();
    ctx.change_key(&mut user, "john-old").unwrap();
    assert_eq!(ctx.find_by_key::<User>("john").await.unwrap(), None);
    let new = ctx.load_or_create::<User>("john").await.unwrap();
    assert_ne!(new.id(), old);
    ctx.commit().await.unwrap();
    assert_eq!(store.load_by_key::<User>("john").await.unwrap().id(), new.id());
    assert_eq!(store.load_by_key::<User>("john-old").await.unwrap().id(), old);
}

#[tokio::test]
async fn a_key_that_wanders_and_comes_back_is_free_for_nobody_else() {
    let store = store().await;
    let id = stored_user(&store, "a", 0).await;
    let ctx = store.begin();
    let mut user = ctx.load(id).await.unwrap();
    for key in ["b", "c", "a"] {
        ctx.change_key(&mut user, key).unwrap();
    }
    assert_eq!(ctx.find_by_key::<User>("a").await.unwrap(), Some(id));
    assert_eq!(ctx.find_by_key::<User>("b").await.unwrap(), None);
    let receipt = ctx.commit().await.unwrap();
    assert!(receipt.aggregates().is_empty(), "nothing changed: {receipt:?}");
}

#[tokio::test]
async fn a_taken_key_is_reported_at_commit() {
    let store = store().await;
    stored_user(&store, "john", 0).await;
    let ctx = store.begin();
    ctx.create_with_key::<User>("john").await.unwrap();
    let error = ctx.commit().await.unwrap_err();
    let Error::DuplicateKey { aggregate_type, key, load_or_create } = &error else { panic!("{error}") };
    assert_eq!((*aggregate_type, key.as_str(), *load_or_create), ("User", "john", false));
    assert!(!error.is_conflict());

    // The same key under another type is another key.
    let ctx = store.begin();
    ctx.create_with_key::<Account>("john").await.unwrap();
    ctx.commit().await.unwrap();
}

#[tokio::test]
async fn two_aggregates_left_with_one_key_are_refused() {
    let store = store().await;
    let ctx = store.begin();
    ctx.create_with_key::<User>("john").await.unwrap();
    ctx.create_with_key::<User>("john").await.unwrap();
    assert!(matches!(ctx.commit().await, Err(Error::DuplicateKey { .. })));
    assert!(!store.read_only().exists_by_key::<User>("john").await.unwrap());
}

#[tokio::test]
async fn load_or_create_loads_what_is_there_and_creates_what_is_not() {
    let store = store().await;
    let id = stored_user(&store, "john", 3).await;
    let ctx = store.begin();
    assert_eq!(ctx.load_or_create::<User>("john").await.unwrap().logins, 3);
    let jane = ctx.load_or_create::<User>("jane").await.unwrap();
    assert_eq!(ctx.load_or_create::<User>("jane").await.unwrap().id(), jane.id());
    ctx.commit().await.unwrap();
    assert_ne!(store.load_by_key::<User>("jane").await.unwrap().id(), id);
}

#[tokio::test]
async fn an_unknown_id_or_key_is_not_found() {
    let store = store().await;
    let error = store.load(AggregateId::<User>::new(4711)).await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.to_string(), "there is no User 4711");
    let error = store.load_by_key::<User>("nobody").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no User with the key \"nobody\"");
    let id = stored_user(&store, "john", 0).await;
    let error = store.read_only().load_many(&[id, AggregateId::new(4711)]).await.unwrap_err();
    assert!(error.is_not_found());
}

#[tokio::test]
async fn an_id_of_another_type_is_a_wrong_type() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let wrong = id.untyped().typed::<Account>();
    let error = store.load(wrong).await.unwrap_err();
    assert_eq!(error.to_string(), format!("aggregate {id} is of the type User, not Account"));

    let ctx = store.begin();
    let created = ctx.create::<User>().await.unwrap();
    let error = ctx.load(created.id().untyped().typed::<Account>()).await.unwrap_err();
    assert!(matches!(error, Error::WrongType { .. }));
}

#[tokio::test]
async fn ids_of_a_type_come_page_by_page() {
    let store = store().await;
    let mut users = Vec::new();
    for number in 0..7 {
        users.push(stored_user(&store, &number.to_string(), 0).await);
        store.with_context(async |ctx| ctx.create::<Account>().await.map(drop)).await.unwrap();
    }
    let ctx = store.read_only();
    let mut found: Vec<AggregateId<User>> = Vec::new();
    loop {
        let page = ctx.ids(found.last().copied(), 3).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, users);
}

#[tokio::test]
async fn several_aggregates_of_several_types_commit_together() {
    let store = store().await;
    let ctx = store.begin();
    let mut user = ctx.create::<User>().await.unwrap();
    let mut account = ctx.create::<Account>().await.unwrap();
    ctx.apply(&mut account, Deposited(5)).unwrap();
    ctx.apply(&mut user, created("john")).unwrap();
    ctx.apply(&mut account, Deposited(7)).unwrap();
    let receipt = ctx.commit().await.unwrap();
    let sequences: Vec<_> = receipt.aggregates().iter().map(|one| one.sequence.get()).collect();
    assert_eq!(sequences, [1, 2]);
    assert_eq!(store.load(account.id()).await.unwrap().balance(), 12);
}

#[tokio::test]
async fn an_empty_commit_succeeds_and_writes_nothing() {
    let store = store().await;
    let id = stored_user(&store, "john", 0).await;
    let head = store.head().await.unwrap();
    let ctx = store.begin();
    ctx.load(id).await.unwrap();
    let receipt = ctx.commit().await.unwrap();
    assert_eq!((receipt.last_position(), receipt.aggregates()), (None, &[][..]));
    assert_eq!(store.head().await.unwrap(), head);
}
