//! Reading copies of the log: real standbys, and real subscriptions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use evercore::{
    Position,
    engine::{
        CommitError, EngineErrorKind, EventFilter, LogPage, LogRead, StorageEngine, Timestamp,
        TransactionalEngine, TypeNames,
    },
};
use evercore_postgres::{PostgresEngine, PostgresEngineBuilder};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinHandle;
use xtask::postgres::PrivateServer;

use crate::{
    divided::divided,
    fixtures::{
        Place, TestResult, Types, append, commit_new, define, load, log, log_after, new_id, run, write_new,
    },
    random_writers::{is_complete, read, read_naively, stored, write},
    servers::{place_on, private, standby_of, url_on},
    subscribed::Subscribed,
};

/// So soon readers that wait for a horizon give up.
const SOON: Duration = Duration::from_millis(400);

/// A store, and a copy of it.
struct Scene {
    place: Arc<Place>,
    writer: Arc<PostgresEngine>,
    types: Types,
    /// Where the copy is.
    copy: String,
    kind: Kind,
}

/// What the copy is kept by.
enum Kind {
    Standby { _primary: Arc<PrivateServer>, _standby: Arc<PrivateServer> },
    Subscription(Subscribed),
}

impl Scene {
    async fn standby() -> Self {
        let primary = private().await;
        let place = place_on(&primary).await;
        let writer = place.engine().await;
        let types = define(&writer).await;
        let standby = standby_of(&primary).await;
        let copy = url_on(&standby, &place);
        let kind = Kind::Standby { _primary: primary, _standby: standby };
        Self { place: Arc::new(place), writer: Arc::new(writer), types, copy, kind }
    }

    async fn subscription() -> Self {
        let subscribed = Subscribed::new().await;
        let place = Arc::clone(&subscribed.origin);
        let writer = place.engine().await;
        let types = define(&writer).await;
        subscribed.subscribe(Subscribed::TABLES).await;
        let copy = subscribed.copy.url();
        Self { place, writer: Arc::new(writer), types, copy, kind: Kind::Subscription(subscribed) }
    }

    fn builder(&self) -> PostgresEngineBuilder {
        PostgresEngine::builder().url(&self.copy)
    }

    async fn reader(&self) -> Arc<PostgresEngine> {
        Arc::new(self.builder().connect().await.expect("the copy opens"))
    }

    /// Waits until the copy has everything that is committed now.
    async fn has_all(&self) {
        let mut session = self.place.session().await;
        let last = "SELECT coalesce(max(position), 0) FROM evercore.events";
        let committed: i64 = sqlx::query_scalar(last).fetch_one(&mut session).await.expect("a position");
        let mut copy = PgConnection::connect(&self.copy).await.expect("a session");
        while sqlx::query_scalar::<_, i64>(last).fetch_one(&mut copy).await.expect("a position") < committed {
        }
    }

    /// What a reader of the copy sees that trusts positions.
    async fn naive(&self, after: i64) -> Vec<i64> {
        let statement = "SELECT position FROM evercore.events WHERE position > $1 ORDER BY position";
        let mut copy = PgConnection::connect(&self.copy).await.expect("a session");
        sqlx::query_scalar(statement).bind(after).fetch_all(&mut copy).await.expect("positions")
    }

    async fn end(self) {
        if let Kind::Subscription(subscribed) = self.kind {
            self.writer.close().await.expect("it closes");
            subscribed.end().await;
        }
    }
}

/// No filter, and one that lets everything through.
fn filters(types: Types) -> [EventFilter; 2] {
    [
        EventFilter::default(),
        EventFilter { aggregate_types: Some([types.user].into()), ..EventFilter::default() },
    ]
}

fn page_after(after: i64, filter: &EventFilter) -> LogRead {
    LogRead { filter: filter.clone(), after: Position::new(after), limit: 100 }
}

fn positions(page: &LogPage) -> Vec<i64> {
    page.events.iter().map(|event| event.position.get()).collect()
}

/// Reads where the log is written, and by that says how far it is settled.
fn read_at_the_origin(engine: &Arc<PostgresEngine>) -> JoinHandle<Position> {
    let engine = Arc::clone(engine);
    tokio::spawn(async move { engine.head().await.expect("the head") })
}

async fn a_late_commit_is_not_skipped(scene: Scene) -> TestResult {
    let mut last = 0;
    for filter in filters(scene.types) {
        commit_new(&scene.writer, scene.types, 2).await;
        read_at_the_origin(&scene.writer).await?;
        last += 2;
        let reader = scene.builder().statement_timeout(SOON).connect().await?;
        while !reader.head().await.is_ok_and(|head| head.get() == last) {}
        assert_eq!(positions(&reader.read_log(&page_after(last - 2, &filter)).await?), [last - 1, last]);

        let mut late = scene.writer.begin().await?;
        write_new(&scene.writer, scene.types, 1, &mut late).await;
        commit_new(&scene.writer, scene.types, 1).await;
        scene.has_all().await;
        let naive = scene.naive(last).await;
        assert_eq!(naive, [last + 2], "a naive reader goes on after the second event");
        let reading = read_at_the_origin(&scene.writer);
        scene.place.is_asked_who_is_appending(&reading).await;
        let error = reader.read_log(&page_after(last, &filter)).await.expect_err("it is not settled");
        assert_eq!(error.kind(), EngineErrorKind::NoHorizon, "{error:?}");
        assert!(error.is_temporary());

        scene.writer.finish(late).await?;
        reading.await?;
        let page = loop {
            match reader.read_log(&page_after(last, &filter)).await {
                Ok(page) => break page,
                Err(error) => assert_eq!(error.kind(), EngineErrorKind::NoHorizon, "{error:?}"),
            }
        };
        assert_eq!((positions(&page), page.end.get()), (vec![last + 1, last + 2], last + 2));
        assert_eq!(scene.naive(last + 2).await, [0_i64; 0], "and never sees the first one");
        last += 2;
    }
    scene.end().await;
    Ok(())
}

#[tokio::test]
async fn a_late_commit_is_not_skipped_on_a_standby() -> TestResult {
    a_late_commit_is_not_skipped(Scene::standby().await).await
}

#[tokio::test]
async fn a_late_commit_is_not_skipped_where_the_log_comes_by_a_subscription() -> TestResult {
    a_late_commit_is_not_skipped(Scene::subscription().await).await
}

async fn readers_of_a_copy_get_every_event(scene: Scene) -> TestResult {
    const WRITERS: u64 = 8;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let ended = Arc::new(AtomicBool::new(false));
    let by_type = EventFilter { event_types: Some([scene.types.created].into()), ..EventFilter::default() };
    let origin = Arc::new(scene.place.engine().await);
    let reader = scene.reader().await;
    let publishing = tokio::spawn(read(origin, EventFilter::default(), seed, Arc::clone(&ended)));
    let readers = [EventFilter::default(), by_type]
        .map(|filter| tokio::spawn(read(Arc::clone(&reader), filter, seed, Arc::clone(&ended))));
    let naive = tokio::spawn(read_naively(scene.copy.clone(), Arc::clone(&ended)));
    let until = Instant::now() + Duration::from_secs(3);
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let writer = Arc::clone(&scene.writer);
            tokio::spawn(write(writer, scene.types, seed.wrapping_add(number), until))
        })
        .collect();
    for writer in writers {
        writer.await?;
    }
    scene.has_all().await;
    ended.store(true, Ordering::SeqCst);
    let stored = stored(&scene.place).await;
    for reader in readers {
        is_complete(&reader.await?, &stored);
    }
    is_complete(&publishing.await?, &stored);
    let naive = naive.await?;
    println!("{} events, of which a naive reader got {naive}", stored.len());
    assert!(naive < stored.len(), "a naive reader loses events, or the run shows nothing");
    scene.end().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_of_a_standby_get_every_event_once_and_in_order() -> TestResult {
    readers_of_a_copy_get_every_event(Scene::standby().await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_of_a_subscription_get_every_event_once_and_in_order() -> TestResult {
    readers_of_a_copy_get_every_event(Scene::subscription().await).await
}

#[tokio::test]
async fn a_standby_serves_aggregates_and_writes_nothing() -> TestResult {
    let scene = Scene::standby().await;
    let id = new_id(&scene.writer).await;
    scene.writer.commit(&append(scene.types, id, 0, 2)).await.expect("a commit");
    scene.has_all().await;
    let reader = scene.reader().await;
    define(&reader).await;
    assert_eq!(load(&reader, id).await.map(|found| found.events.len()), Some(2));
    let unknown = TypeNames { aggregates: vec!["other".into()], events: vec![] };
    let error = reader.define_types(&unknown).await.expect_err("it takes no writes");
    assert_eq!(error.kind(), EngineErrorKind::ReadOnly);
    reader.close().await?;
    Ok(())
}

#[tokio::test]
async fn without_a_reader_at_the_origin_there_is_no_horizon() -> TestResult {
    let scene = Scene::standby().await;
    let reader = scene.builder().statement_timeout(SOON).connect().await?;
    assert_eq!(reader.head().await?, Position::START, "nothing can be seen, nothing is waited for");
    commit_new(&scene.writer, scene.types, 2).await;
    scene.has_all().await;
    let begun = Instant::now();
    let mut errors = vec![reader.head().await.err()];
    assert!(begun.elapsed() >= SOON);
    for filter in filters(scene.types) {
        errors.push(reader.read_log(&page_after(0, &filter)).await.err());
    }
    errors.push(reader.locate(Timestamp::now()).await.err());
    for error in errors {
        let error = error.ok_or("it has no horizon")?;
        assert_eq!(error.kind(), EngineErrorKind::NoHorizon);
        let reason = std::error::Error::source(&error).ok_or("a source")?.to_string();
        let begins = "this copy of the log goes to position 2 at least, and may be read up to 0";
        assert!(reason.starts_with(begins) && reason.contains("primary_url"), "{reason}");
    }
    Ok(())
}

async fn with_the_primary_everything_is_read(scene: Scene) -> TestResult {
    let reader = scene.builder().primary_url(&scene.place.url()).connect().await?;
    let late = Timestamp::from_micros(4_000_000_000_000_000).ok_or("a time")?;
    for filter in filters(scene.types) {
        let mut after = reader.head().await?.get();
        for round in 0..10 {
            let last = commit_new(&scene.writer, scene.types, 3).await;
            match round % 2 {
                // What was committed before the call is there.
                0 => assert_eq!(reader.head().await?, last),
                _ => assert_eq!(reader.locate(late).await?, last),
            }
            let page = reader.read_log(&page_after(after, &filter)).await?;
            assert_eq!((page.events.len(), page.end), (3, last));
            let mut doorbell = reader.watch();
            let next = commit_new(&scene.writer, scene.types, 1).await;
            doorbell.rung().await;
            let page = reader.read_log(&page_after(last.get(), &filter)).await?;
            assert_eq!(positions(&page), [next.get()], "without asking for the head");
            after = next.get();
        }
        assert_eq!(log_after(&reader, filter, Position::START, 7).await.len() as i64, after);
    }
    reader.close().await?;
    scene.end().await;
    Ok(())
}

#[tokio::test]
async fn with_the_primary_at_hand_a_standby_has_everything_that_was_committed() -> TestResult {
    with_the_primary_everything_is_read(Scene::standby().await).await
}

#[tokio::test]
async fn with_the_primary_at_hand_a_subscription_has_everything_that_was_committed() -> TestResult {
    with_the_primary_everything_is_read(Scene::subscription().await).await
}

#[tokio::test]
async fn a_primary_that_is_none_or_cannot_be_written_to_is_refused() -> TestResult {
    let scene = Scene::standby().await;
    commit_new(&scene.writer, scene.types, 1).await;
    scene.has_all().await;
    let reader = scene.builder().primary_url(&scene.copy).connect().await?;
    assert_eq!(reader.head().await.err().map(|error| error.kind()), Some(EngineErrorKind::Misconfigured));

    let (_, may_not_write) = scene.place.reading_role().await;
    let reader = scene.builder().primary_url(&may_not_write).connect().await?;
    assert_eq!(reader.head().await.err().map(|error| error.kind()), Some(EngineErrorKind::ReadOnly));

    let other = Place::new().await;
    drop(other.engine().await);
    let reader = scene.builder().primary_url(&other.url()).connect().await?;
    assert_eq!(reader.head().await.err().map(|error| error.kind()), Some(EngineErrorKind::Incompatible));
    Ok(())
}

#[tokio::test]
async fn a_standby_that_is_promoted_is_read_as_where_the_log_is_written() -> TestResult {
    let scene = Scene::standby().await;
    let mut last = commit_new(&scene.writer, scene.types, 3).await.get();
    read_at_the_origin(&scene.writer).await?;
    scene.has_all().await;
    let reader = scene.reader().await;
    for filter in filters(scene.types) {
        assert_eq!(log_after(&reader, filter, Position::START, 10).await.len(), 3);
    }
    run(&mut PgConnection::connect(&scene.copy).await?, "SELECT pg_promote()").await;

    let (writer, types) = (scene.reader().await, scene.types);
    for filter in filters(types) {
        let mut late = writer.begin().await?;
        let position = write_new(&writer, types, 1, &mut late).await.get();
        assert_eq!(commit_new(&writer, types, 1).await.get(), position + 1);
        let reading = {
            let (reader, read) = (Arc::clone(&reader), page_after(last, &filter));
            tokio::spawn(async move { reader.read_log(&read).await })
        };
        let copy = PgConnection::connect(&scene.copy).await?;
        Place::is_asked_on(copy, &reading).await;
        writer.finish(late).await?;
        assert_eq!(positions(&reading.await??), [position, position + 1]);
        last = position + 1;
    }
    Ok(())
}

/// The server that is asked who is appending turns out to be one that cannot know.
#[tokio::test]
async fn a_copy_that_is_asked_who_is_appending_settles_nothing() -> TestResult {
    let place = Place::new().await;
    let writer = place.engine().await;
    let types = define(&writer).await;
    let mut session = place.session().await;
    let reader = PostgresEngine::builder().url(&place.url()).statement_timeout(SOON).connect().await?;
    let reader = Arc::new(reader);
    for filter in filters(types) {
        let last = writer.head().await?.get();
        let mut late = writer.begin().await?;
        write_new(&writer, types, 1, &mut late).await;
        commit_new(&writer, types, 1).await;
        let reading = {
            let (reader, read) = (Arc::clone(&reader), page_after(last, &filter));
            tokio::spawn(async move { reader.read_log(&read).await })
        };
        place.is_asked_who_is_appending(&reading).await;
        // As on a copy that nothing was published to: no lock is seen there.
        let subscribed = "SET allow_system_table_mods = on;
            INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate) VALUES (1, 'evercore.events'::regclass, 'r')";
        run(&mut session, subscribed).await;
        let error = reading.await?.expect_err("nobody can say what is settled");
        assert_eq!(error.kind(), EngineErrorKind::NoHorizon, "{error:?}");
        run(&mut session, "DELETE FROM pg_subscription_rel").await;

        let reading = {
            let (reader, read) = (Arc::clone(&reader), page_after(last, &filter));
            tokio::spawn(async move { reader.read_log(&read).await })
        };
        place.is_asked_who_is_appending(&reading).await;
        writer.finish(late).await?;
        assert_eq!(positions(&reading.await??), [last + 1, last + 2]);
    }
    Ok(())
}

/// On a standby no lock of those who are appending is seen.
#[tokio::test]
async fn look_ups_that_a_standby_answers_settle_nothing() -> TestResult {
    let scene = Scene::standby().await;
    let url = divided(&scene.place.url(), &scene.copy).await?;
    let reader = PostgresEngine::connect(&url).await?;
    let mut late = scene.writer.begin().await?;
    write_new(&scene.writer, scene.types, 1, &mut late).await;
    commit_new(&scene.writer, scene.types, 1).await;
    for filter in filters(scene.types) {
        let error =
            reader.read_log(&page_after(0, &filter)).await.expect_err("it is not known who is appending");
        assert_eq!(error.kind(), EngineErrorKind::Unsupported, "{error:?}");
    }
    scene.writer.finish(late).await?;
    // Where there is no gap nothing has to be looked up.
    assert_eq!(positions(&reader.read_log(&page_after(0, &EventFilter::default())).await?), [1, 2]);
    Ok(())
}

#[tokio::test]
async fn a_subscription_that_does_not_bring_the_horizon_in_order_is_not_trusted() -> TestResult {
    let subscribed = Subscribed::new().await;
    let writer = subscribed.origin.engine().await;
    let types = define(&writer).await;
    let without = Subscribed::TABLES.replace("evercore.horizon, ", "");
    subscribed.subscribe(&without).await;
    commit_new(&writer, types, 2).await;
    writer.head().await?;
    let builder = PostgresEngine::builder().url(&subscribed.copy.url()).statement_timeout(SOON);
    let reader = builder.connect().await?;
    subscribed.has_events(2).await;
    let has_horizon = async || match reader.head().await {
        Ok(head) => {
            assert_eq!(head, Position::new(2));
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), EngineErrorKind::NoHorizon, "{error:?}");
            false
        }
    };
    assert!(!has_horizon().await, "it is not part of the subscription");
    // Beside it, in its own order.
    let beside = subscribed.subscribe_beside("evercore.horizon").await;
    assert!(!has_horizon().await, "it comes on its own");
    subscribed.drop(&beside).await;
    subscribed.publish_too("evercore.horizon").await;
    while !has_horizon().await {}
    writer.close().await?;
    subscribed.end().await;
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_where_the_log_comes_by_a_subscription() -> TestResult {
    let scene = Scene::subscription().await;
    let id = new_id(&scene.writer).await;
    scene.writer.commit(&append(scene.types, id, 0, 2)).await.expect("a commit");
    scene.has_all().await;
    let reader = scene.reader().await;
    define(&reader).await;
    assert_eq!(load(&reader, id).await.map(|found| found.events.len()), Some(2));
    let unknown = TypeNames { aggregates: vec!["other".into()], events: vec![] };
    let refused = [
        reader.define_types(&unknown).await.err(),
        reader.reserve_ids(1).await.err(),
        match reader.commit(&append(scene.types, id, 2, 1)).await {
            Err(CommitError::Engine(error)) => Some(error),
            other => panic!("{other:?}"),
        },
    ];
    for error in refused {
        assert_eq!(error.map(|error| error.kind()), Some(EngineErrorKind::ReadOnly));
    }
    let mut transaction = reader.begin().await?;
    let written = reader.commit_in(&append(scene.types, id, 2, 1), &mut transaction).await;
    assert!(matches!(&written, Err(CommitError::Engine(error)) if error.kind() == EngineErrorKind::ReadOnly));
    drop(transaction);
    assert_eq!(log(&scene.writer).await.len(), 2);
    reader.close().await?;
    scene.end().await;
    Ok(())
}
