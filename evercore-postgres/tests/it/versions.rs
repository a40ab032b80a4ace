//! Two versions of the library side by side, as during a deployment: each calls the function that it knows.

use std::{collections::BTreeMap, sync::Arc};

use evercore::{
    AggregateId, Sequence,
    engine::{CommitError, StorageEngine, TransactionalEngine},
};
use evercore_postgres::PostgresEngine;
use sqlx::PgConnection;

use crate::fixtures::{Place, TestResult, Types, append, define, load, log, new_id, run};

/// The function that a newer version of the library would add.
fn newer_function() -> String {
    let known = include_str!("../../migrations/0002_commit.sql");
    known.replace("commit_v1", "commit_v2").replace("{schema}", "evercore")
}

/// What became of a commit of one event: none when it is stored, else where the aggregate is.
type Refused = Option<i64>;

/// Commits as this version of the library does.
async fn commit_v1(engine: &PostgresEngine, types: Types, id: AggregateId, version: i64) -> Refused {
    match engine.commit(&append(types, id, version, 1)).await {
        Ok(_) => None,
        Err(CommitError::Conflict { actual: Some(actual), .. }) => Some(actual.get()),
        Err(other) => panic!("{other:?}"),
    }
}

/// Commits as a newer version of the library does.
async fn commit_v2(session: &mut PgConnection, types: Types, id: AggregateId, version: i64) -> Refused {
    let statement = "SELECT commit_position FROM evercore.commit_v2(NULL, NULL, NULL, ARRAY[$1], ARRAY[$2],
        ARRAY[$3::bigint], ARRAY[$3 + 1], ARRAY[NULL], ARRAY[NULL], ARRAY[$1], ARRAY[$2], ARRAY[$4], ARRAY[$3 + 1],
        ARRAY[now()], ARRAY[NULL], ARRAY[NULL], ARRAY[1]::smallint[], ARRAY['1'::bytea], '{}', '{}', '{}', '{}', '{}')";
    let narrow = |id: i64| i32::try_from(id).expect("a small id");
    let committed = sqlx::query_scalar::<_, i64>(statement)
        .bind(id.get())
        .bind(narrow(types.user.get()))
        .bind(version)
        .bind(narrow(types.created.get()))
        .fetch_one(session)
        .await;
    let Err(error) = committed else { return None };
    let error = error.into_database_error().expect("an answer of the server");
    let error = error.downcast::<sqlx::postgres::PgDatabaseError>();
    assert_eq!(error.code(), "EV001");
    let (_, actual) = error.detail().and_then(|detail| detail.split_once(' ')).expect("id and version");
    Some(actual.parse().expect("a number"))
}

struct Scene {
    place: Arc<Place>,
    engine: Arc<PostgresEngine>,
    types: Types,
}

impl Scene {
    async fn new() -> Self {
        let place = Arc::new(Place::new().await);
        let engine = Arc::new(place.engine().await);
        run(&mut place.session().await, newer_function()).await;
        Self { types: define(&engine).await, engine, place }
    }

    /// An aggregate with one event.
    async fn user(&self) -> AggregateId {
        let id = new_id(&self.engine).await;
        self.engine.commit(&append(self.types, id, 0, 1)).await.expect("a commit");
        id
    }

    /// Waits until somebody waits for a lock.
    async fn somebody_waits(&self) {
        let mut session = self.place.session().await;
        let blocked = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";
        while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&mut session).await.expect("a count") == 0 {}
    }
}

#[tokio::test]
async fn each_version_waits_for_the_other_and_is_told_where_it_has_left_the_aggregate() -> TestResult {
    let scene = Scene::new().await;
    let (types, id) = (scene.types, scene.user().await);

    let mut older = scene.engine.begin().await?;
    scene.engine.commit_in(&append(types, id, 1, 3), &mut older).await.expect("it is written");
    let mut session = scene.place.session().await;
    let newer = tokio::spawn(async move { commit_v2(&mut session, types, id, 1).await });
    scene.somebody_waits().await;
    assert!(!newer.is_finished());
    scene.engine.finish(older).await?;
    assert_eq!(newer.await?, Some(4));

    let mut newer = scene.place.session().await;
    run(&mut newer, "BEGIN").await;
    assert_eq!(commit_v2(&mut newer, types, id, 4).await, None);
    let engine = Arc::clone(&scene.engine);
    let older = tokio::spawn(async move { commit_v1(&engine, types, id, 4).await });
    scene.somebody_waits().await;
    assert!(!older.is_finished());
    run(&mut newer, "COMMIT").await;
    assert_eq!(older.await?, Some(5));
    Ok(())
}

/// Who commits.
enum Writer {
    Older(Arc<PostgresEngine>),
    Newer(PgConnection),
}

/// Appends so many events to each aggregate, one at a time, and says how often it was too late.
async fn write(mut writer: Writer, types: Types, ids: Vec<AggregateId>, events: usize) -> usize {
    let mut refusals = 0;
    let mut versions: BTreeMap<_, i64> = ids.iter().map(|id| (*id, 1)).collect();
    for id in ids.iter().cycle().take(ids.len() * events) {
        let version = versions.entry(*id).or_default();
        loop {
            let refused = match &mut writer {
                Writer::Older(engine) => commit_v1(engine, types, *id, *version).await,
                Writer::Newer(session) => commit_v2(session, types, *id, *version).await,
            };
            let Some(actual) = refused else { break };
            assert!(actual > *version, "refused at {version}, where it is");
            *version = actual;
            refusals += 1;
        }
        *version += 1;
    }
    refusals
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_versions_that_write_the_same_aggregates_lose_nothing() -> TestResult {
    const EVENTS: usize = 50;
    let scene = Scene::new().await;
    let ids = vec![scene.user().await, scene.user().await];
    let writers = [
        Writer::Older(Arc::clone(&scene.engine)),
        Writer::Newer(scene.place.session().await),
        Writer::Older(Arc::clone(&scene.engine)),
        Writer::Newer(scene.place.session().await),
    ];
    let written = writers.len() * EVENTS;
    let tasks = writers.map(|writer| tokio::spawn(write(writer, scene.types, ids.clone(), EVENTS)));
    let mut refusals = 0;
    for task in tasks {
        refusals += task.await?;
    }
    assert!(refusals > 0, "they met");
    for id in &ids {
        let found = load(&scene.engine, *id).await.ok_or("it is there")?;
        let sequences: Vec<_> = found.events.iter().map(|event| event.sequence.get()).collect();
        let expected: Vec<_> = (1..=i64::try_from(written)? + 1).collect();
        assert_eq!(sequences, expected, "each event that was answered, and no other");
        assert_eq!(Some(&found.version), expected.last().map(|last| Sequence::new(*last)).as_ref());
    }
    assert_eq!(log(&scene.engine).await.len(), ids.len() * (written + 1));
    Ok(())
}
