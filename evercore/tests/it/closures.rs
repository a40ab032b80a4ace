//! The forms of closures that the documentation promises: inside `tokio::spawn`, so that their futures are
//! `Send`, and with what they borrow. That this compiles is the test; the assertions show that it runs.

use std::sync::Arc;

use evercore::{Error, EventStore};

use crate::domain::{User, created, store};

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("store")]
    Store(#[from] Error),
    #[error("too young")]
    TooYoung,
}

async fn count(store: &EventStore) -> usize {
    store.read_only().ids::<User>(None, 100).await.unwrap().len()
}

#[tokio::test]
async fn an_async_closure_borrows_shared_locals() {
    let store = store().await;
    let shared = store.clone();
    tokio::spawn(async move {
        let name = String::from("john");
        shared
            .with_context(async |ctx| {
                let mut user = ctx.create_with_key::<User>(&name).await?;
                ctx.apply(&mut user, created(&name))
            })
            .await?;
        let (id, _receipt) = shared
            .unit()
            .run(async |ctx| {
                let user = ctx.load_by_key::<User>(&name).await?;
                Ok(user.id())
            })
            .await?;
        let committed = shared
            .unit()
            .once(&name)
            .run(async |ctx| {
                ctx.load(id).await?;
                Ok(name.len())
            })
            .await?;
        assert!(!committed.is_repeat());
        Ok::<_, Error>(())
    })
    .await
    .unwrap()
    .unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_closure_that_clones_into_an_async_block() {
    let store = store().await;
    let shared = store.clone();
    tokio::spawn(async move {
        let name = Arc::new(String::from("john"));
        shared
            .unit()
            .run(move |ctx| {
                let name = Arc::clone(&name);
                async move { ctx.create_with_key::<User>(name.as_str()).await.map(drop) }
            })
            .await?;
        let moved = String::from("jane");
        shared
            .with_context(move |ctx| async move { ctx.create_with_key::<User>(moved).await.map(drop) })
            .await
    })
    .await
    .unwrap()
    .unwrap();
    assert_eq!(count(&store).await, 2);
}

#[tokio::test]
async fn an_async_move_closure_with_captures_runs_once() {
    let store = store().await;
    let shared = store.clone();
    tokio::spawn(async move {
        let name = String::from("john");
        shared
            .with_context(async move |ctx| {
                let user = ctx.create_with_key::<User>(&name).await?;
                drop(name);
                Ok(user.id())
            })
            .await
    })
    .await
    .unwrap()
    .unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn closures_with_an_error_type_of_the_caller() {
    let store = store().await;
    let shared = store.clone();
    let result: Result<(), AppError> = tokio::spawn(async move {
        let age = 17;
        shared
            .try_with_context(async |ctx| {
                ctx.create_with_key::<User>("john").await?;
                if age < 18 { Err(AppError::TooYoung) } else { Ok(()) }
            })
            .await?;
        shared.unit().try_run(async |ctx| Ok::<_, AppError>(ctx.create::<User>().await?.id())).await?;
        shared
            .unit()
            .once("k")
            .try_run(async |ctx| Ok::<_, AppError>(ctx.create::<User>().await?.id()))
            .await?;
        Ok(())
    })
    .await
    .unwrap();
    assert!(matches!(result, Err(AppError::TooYoung)));
    assert_eq!(count(&store).await, 0);
}

#[tokio::test]
async fn two_loads_run_at_once() {
    let store = store().await;
    let (john, jane) = (
        crate::domain::stored_user(&store, "john", 0).await,
        crate::domain::stored_user(&store, "jane", 0).await,
    );
    let shared = store.clone();
    tokio::spawn(async move {
        shared
            .with_context(async |ctx| {
                let (john, jane) = tokio::join!(ctx.load(john), ctx.load(jane));
                assert_eq!((john?.username.as_str(), jane?.username.as_str()), ("john", "jane"));
                Ok(())
            })
            .await
    })
    .await
    .unwrap()
    .unwrap();
}

#[tokio::test]
async fn a_context_can_be_moved_into_a_task() {
    let store = store().await;
    let ctx = store.begin();
    let clone = ctx.clone();
    let id = tokio::spawn(async move { clone.create::<User>().await.map(|user| user.id()) })
        .await
        .unwrap()
        .unwrap();
    ctx.commit().await.unwrap();
    assert!(store.load(id).await.is_ok());
}
