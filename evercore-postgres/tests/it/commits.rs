//! Commits that meet: schedules of transactions that stay open.

use std::sync::Arc;

use evercore::{
    AggregateId, Fingerprint, Payload, Sequence,
    engine::{
        AggregateChange, Changes, CommitError, CommitOutcome, EngineErrorKind, Expected, Idempotency,
        KeyChange, NewSnapshot, StorageEngine, Timestamp, TransactionalEngine,
    },
};
use evercore_postgres::PostgresEngine;
use tokio::task::JoinHandle;

use crate::fixtures::{Place, TestResult, Types, append, create, define, key, last_position, load, new_id};

type Answer = Result<CommitOutcome, CommitError>;

struct Scene {
    engine: Arc<PostgresEngine>,
    types: Types,
    place: Place,
}

impl Scene {
    async fn new() -> Self {
        let place = Place::new().await;
        let engine = Arc::new(place.engine().await);
        Self { types: define(&engine).await, engine, place }
    }

    /// An aggregate with one event.
    async fn user(&self) -> AggregateId {
        let id = new_id(&self.engine).await;
        self.engine.commit(&append(self.types, id, 0, 1)).await.expect("a commit");
        id
    }

    /// A commit that waits for somebody.
    async fn waiting(&self, changes: Changes) -> JoinHandle<Answer> {
        self.waiting_too(changes, 1).await
    }

    /// One more commit that waits, so that there are this many.
    async fn waiting_too(&self, changes: Changes, count: i64) -> JoinHandle<Answer> {
        let engine = Arc::clone(&self.engine);
        let answer = tokio::spawn(async move { engine.commit(&changes).await });
        let mut session = self.place.session().await;
        let blocked = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";
        while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&mut session).await.expect("a count") < count {
            assert!(!answer.is_finished(), "it did not wait");
        }
        answer
    }
}

fn once(mut changes: Changes) -> Changes {
    changes.idempotency = Some(Idempotency { key: "order-7".into(), receipt: "a receipt".into() });
    changes
}

/// Asks that an aggregate is still at this sequence.
fn require(types: Types, id: AggregateId, version: i64) -> AggregateChange {
    let version = Sequence::new(version);
    AggregateChange {
        id,
        type_id: types.user,
        expected: Expected::At(version),
        version,
        key: KeyChange::Keep,
    }
}

#[tokio::test]
async fn a_loser_is_told_where_the_winner_has_left_the_aggregate() -> TestResult {
    let scene = Scene::new().await;
    let id = scene.user().await;
    let mut winner = scene.engine.begin().await?;
    scene.engine.commit_in(&append(scene.types, id, 1, 3), &mut winner).await.expect("it is written");
    let loser = scene.waiting(append(scene.types, id, 1, 1)).await;
    scene.engine.finish(winner).await?;
    let answer = loser.await?;
    let expected = Sequence::new(4);
    assert!(matches!(answer, Err(CommitError::Conflict { actual: Some(actual), .. }) if actual == expected));
    Ok(())
}

#[tokio::test]
async fn a_condition_waits_for_a_writer_and_fails_when_it_wrote() -> TestResult {
    for commits in [true, false] {
        let scene = Scene::new().await;
        let (required, own) = (scene.user().await, scene.user().await);
        let mut writer = scene.engine.begin().await?;
        scene
            .engine
            .commit_in(&append(scene.types, required, 1, 1), &mut writer)
            .await
            .expect("it is written");
        let mut changes = append(scene.types, own, 1, 1);
        changes.aggregates.insert(0, require(scene.types, required, 1));
        let conditional = scene.waiting(changes).await;
        match commits {
            true => scene.engine.finish(writer).await?,
            false => writer.rollback().await?,
        }
        let answer = conditional.await?;
        assert_eq!(answer.is_err(), commits, "{answer:?}");
        let version = load(&scene.engine, own).await.map(|own| own.version.get());
        assert_eq!(version, Some(if commits { 1 } else { 2 }));
    }
    Ok(())
}

#[tokio::test]
async fn conditions_on_one_aggregate_do_not_wait_for_each_other() -> TestResult {
    let scene = Scene::new().await;
    let (required, one, other) = (scene.user().await, scene.user().await, scene.user().await);
    let changes = |own| {
        let mut changes = append(scene.types, own, 1, 1);
        changes.aggregates.insert(0, require(scene.types, required, 1));
        changes
    };
    let mut open = scene.engine.begin().await?;
    scene.engine.commit_in(&changes(one), &mut open).await.expect("it is written");
    scene.engine.commit(&changes(other)).await.expect("it does not wait");
    scene.engine.finish(open).await?;
    Ok(())
}

#[tokio::test]
async fn a_second_commit_under_a_key_waits_for_the_first() -> TestResult {
    for commits in [true, false] {
        let scene = Scene::new().await;
        let (first, second) = (new_id(&scene.engine).await, new_id(&scene.engine).await);
        let mut open = scene.engine.begin().await?;
        let written = scene.engine.commit_in(&once(append(scene.types, first, 0, 2)), &mut open).await;
        let written = written.expect("it is written");
        let repeat = scene.waiting(once(append(scene.types, second, 0, 1))).await;
        match commits {
            true => scene.engine.finish(open).await?,
            false => open.rollback().await?,
        }
        let answer = repeat.await?.expect("an answer");
        match (commits, answer) {
            (true, CommitOutcome::Repeated(past)) => {
                assert_eq!(past.receipt, "a receipt");
                assert_eq!(past.last_position, Some(last_position(&written)));
                let CommitOutcome::Committed { committed_at: first_at, .. } = written else {
                    panic!("{written:?}")
                };
                assert_eq!(past.committed_at, first_at);
            }
            (false, CommitOutcome::Committed { .. }) => {}
            (_, answer) => panic!("{answer:?}"),
        }
        assert_eq!(load(&scene.engine, second).await.is_some(), !commits);
    }
    Ok(())
}

#[tokio::test]
async fn a_key_of_an_open_transaction_is_waited_for() -> TestResult {
    for commits in [true, false] {
        let scene = Scene::new().await;
        let (first, second, old) =
            (new_id(&scene.engine).await, new_id(&scene.engine).await, scene.user().await);
        let mut open = scene.engine.begin().await?;
        scene.engine.commit_in(&create(scene.types, first, "john"), &mut open).await.expect("it is written");
        let mut renamed = append(scene.types, old, 1, 1);
        renamed.aggregates[0].key = KeyChange::Set { from: None, to: key("john") };
        // One that creates and one that changes an aggregate: both want the key, at most one gets it.
        let creates = scene.waiting(create(scene.types, second, "john")).await;
        let renames = scene.waiting(renamed).await;
        match commits {
            true => scene.engine.finish(open).await?,
            false => open.rollback().await?,
        }
        let answers = [creates.await?, renames.await?];
        let refused =
            answers.iter().filter(|answer| matches!(answer, Err(CommitError::DuplicateKey(_)))).count();
        assert_eq!(refused, if commits { 2 } else { 1 }, "{answers:?}");
        if let Err(CommitError::DuplicateKey(id)) = &answers[0] {
            assert_eq!(*id, second);
        }
        if let Err(CommitError::DuplicateKey(id)) = &answers[1] {
            assert_eq!(*id, old);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_deadlock_of_transactions_is_temporary_for_one_of_them() -> TestResult {
    let scene = Scene::new().await;
    let (a, b) = (scene.user().await, scene.user().await);
    let (mut one, mut other) = (scene.engine.begin().await?, scene.engine.begin().await?);
    scene.engine.commit_in(&append(scene.types, a, 1, 1), &mut one).await.expect("it is written");
    scene.engine.commit_in(&append(scene.types, b, 1, 1), &mut other).await.expect("it is written");
    let (b_in_one, a_in_other) = (append(scene.types, b, 1, 1), append(scene.types, a, 1, 1));
    let both = async {
        let first = async {
            let answer = scene.engine.commit_in(&b_in_one, &mut one).await;
            one.rollback().await.expect("a rollback");
            answer
        };
        let second = async {
            let answer = scene.engine.commit_in(&a_in_other, &mut other).await;
            other.rollback().await.expect("a rollback");
            answer
        };
        tokio::join!(first, second)
    };
    let answers = <[Answer; 2]>::from(both.await);
    let busy = answers.iter().filter(
        |answer| matches!(answer, Err(CommitError::Engine(error)) if error.kind() == EngineErrorKind::Busy),
    );
    assert_eq!(busy.count(), 1, "{answers:?}");
    Ok(())
}

#[tokio::test]
async fn a_clock_that_was_set_back_stands_still() -> TestResult {
    let scene = Scene::new().await;
    scene.user().await;
    let ahead = "UPDATE evercore.events SET recorded_at = recorded_at + interval '1 hour'";
    crate::fixtures::run(&mut scene.place.session().await, ahead).await;
    scene.user().await;
    let times: Vec<bool> = sqlx::query_scalar(
        "SELECT recorded_at >= lag(recorded_at, 1, recorded_at) OVER (ORDER BY position) FROM evercore.events",
    )
    .fetch_all(&mut scene.place.session().await)
    .await?;
    assert_eq!(times, [true, true]);
    Ok(())
}

/// A role may have its transactions see a single moment, and commits are transactions too.
#[tokio::test]
async fn commits_that_see_a_single_moment_are_answered_as_all_others() -> TestResult {
    for isolation in ["repeatable read", "serializable"] {
        let place = Place::new().await;
        let set =
            format!("ALTER DATABASE {} SET default_transaction_isolation TO '{isolation}'", place.database());
        crate::fixtures::run(&mut place.session().await, set).await;
        let engine = Arc::new(place.engine().await);
        let scene = Scene { types: define(&engine).await, engine, place };

        let id = scene.user().await;
        let mut winner = scene.engine.begin().await?;
        scene.engine.commit_in(&append(scene.types, id, 1, 3), &mut winner).await.expect("it is written");
        let loser = scene.waiting(append(scene.types, id, 1, 1)).await;
        scene.engine.finish(winner).await?;
        let answer = loser.await?;
        assert!(
            matches!(answer, Err(CommitError::Conflict { actual: Some(actual), .. }) if actual == Sequence::new(4)),
            "{answer:?}"
        );

        let (first, second) = (new_id(&scene.engine).await, new_id(&scene.engine).await);
        let mut claimer = scene.engine.begin().await?;
        let written = scene.engine.commit_in(&once(append(scene.types, first, 0, 1)), &mut claimer).await;
        written.expect("it is written");
        let repeat = scene.waiting(once(append(scene.types, second, 0, 1))).await;
        scene.engine.finish(claimer).await?;
        let answer = repeat.await?;
        assert!(matches!(answer, Ok(CommitOutcome::Repeated(_))), "{answer:?}");
    }
    Ok(())
}

fn snapshot(id: AggregateId, sequence: i64) -> NewSnapshot {
    NewSnapshot {
        aggregate_id: id,
        sequence: Sequence::new(sequence),
        fingerprint: Fingerprint::new(1),
        payload: Payload::encode("state").expect("JSON"),
    }
}

#[tokio::test]
async fn snapshots_in_opposite_orders_do_not_deadlock() -> TestResult {
    let scene = Scene::new().await;
    let (a, b) = (scene.user().await, scene.user().await);
    let save = |order: [AggregateId; 2]| Changes {
        aggregates: vec![require(scene.types, a, 1), require(scene.types, b, 1)],
        snapshots: order.map(|id| snapshot(id, 1)).into(),
        ..Changes::default()
    };
    scene.engine.commit(&save([a, b])).await.expect("a commit");
    let mut busy = scene.place.session().await;
    let lock = format!("BEGIN; SELECT FROM evercore.snapshots WHERE aggregate_id = {a} FOR UPDATE");
    crate::fixtures::run(&mut busy, lock).await;
    let one = scene.waiting(save([a, b])).await;
    let other = scene.waiting_too(save([b, a]), 2).await;
    crate::fixtures::run(&mut busy, "COMMIT").await;
    one.await?.expect("a commit");
    other.await?.expect("a commit");
    Ok(())
}

#[tokio::test]
async fn keys_that_are_given_in_opposite_orders_do_not_deadlock() -> TestResult {
    let scene = Scene::new().await;
    let mut users = Vec::new();
    for _ in 0..5 {
        users.push(scene.user().await);
    }
    let rename = |pairs: &[(usize, &str)]| {
        let aggregates = pairs.iter().map(|(user, to)| AggregateChange {
            key: KeyChange::Set { from: None, to: key(to) },
            ..require(scene.types, users[*user], 1)
        });
        Changes { aggregates: aggregates.collect(), ..Changes::default() }
    };
    // The first one is held up in the middle, by somebody who has one of its keys.
    let mut busy = scene.engine.begin().await?;
    let holder = new_id(&scene.engine).await;
    scene.engine.commit_in(&create(scene.types, holder, "c"), &mut busy).await.expect("it is written");
    let one = scene.waiting(rename(&[(0, "a"), (2, "c"), (4, "b")])).await;
    let other = scene.waiting_too(rename(&[(1, "b"), (3, "a")]), 2).await;
    busy.rollback().await?;
    let answers = [one.await?, other.await?];
    let refused = answers.iter().filter(|answer| matches!(answer, Err(CommitError::DuplicateKey(_)))).count();
    assert_eq!(refused, 1, "{answers:?}");
    Ok(())
}

/// Everything that writes, not only commits, is refused by the server when somebody else was faster.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_write_at_once_where_transactions_see_a_single_moment() -> TestResult {
    for isolation in ["repeatable read", "serializable"] {
        let place = Place::new().await;
        let set =
            format!("ALTER DATABASE {} SET default_transaction_isolation TO '{isolation}'", place.database());
        crate::fixtures::run(&mut place.session().await, set).await;
        drop(place.engine().await);
        let place = Arc::new(place);
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let place = Arc::clone(&place);
                tokio::spawn(async move {
                    let engine = place.engine().await;
                    let types = define(&engine).await;
                    for _ in 0..20 {
                        crate::fixtures::commit_new(&engine, types, 2).await;
                    }
                    engine.forget_keys(Timestamp::now()).await
                })
            })
            .collect();
        for writer in writers {
            writer.await??;
        }
        assert_eq!(crate::fixtures::log(&place.engine().await).await.len(), 160);
    }
    Ok(())
}

#[tokio::test]
async fn more_than_the_server_takes_is_refused_before_it_is_sent() -> TestResult {
    let scene = Scene::new().await;
    let id = new_id(&scene.engine).await;
    let mut changes = append(scene.types, id, 0, 2);
    for event in &mut changes.events {
        // Nothing touches these zeros.
        event.payload = Payload::new(event.payload.codec, vec![0; 500 << 20]);
    }
    let answer = scene.engine.commit(&changes).await;
    assert!(
        matches!(&answer, Err(CommitError::Engine(error)) if error.kind() == EngineErrorKind::Unsupported),
        "{answer:?}"
    );
    assert_eq!(load(&scene.engine, id).await, None);
    Ok(())
}
