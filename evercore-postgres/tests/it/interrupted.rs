//! Subscriptions whose connections break, and whose server dies.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use evercore::{
    Aggregate, Apply, Batch, Context, Error, EventStore, HandlerError, LogFilter, Position, RecordedEvent,
    event,
};
use evercore_postgres::PostgresEngine;
use sqlx::{Connection as _, PgConnection};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    failures::END_SESSIONS,
    fixtures::{Place, TestResult, run},
    servers::{blocking, place_on, private},
};

const PATIENCE: Duration = Duration::from_secs(40);
const EXACT: &str = "exact";
const PLAIN: &str = "plain";

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Counted), snapshot = off)]
struct Counter {
    count: u64,
}

#[event]
struct Counted {}

impl Apply<Counted> for Counter {
    fn apply(&mut self, _event: &Counted) {
        self.count += 1;
    }
}

/// The place of events, in the order in which they were handled.
type Handled = Arc<Mutex<Vec<Position>>>;

async fn open(url: &str) -> EventStore {
    let engine = PostgresEngine::connect(url).await.expect("an engine");
    EventStore::open::<Counter>(engine).await.expect("the store opens")
}

async fn count(store: &EventStore, events: usize) -> evercore::Result<()> {
    let work = async |ctx: Context| {
        let mut counter = ctx.create::<Counter>().await?;
        (0..events).try_for_each(|_| ctx.apply(&mut counter, Counted {}))
    };
    store.with_context(work).await
}

/// Keeps a table of positions by a transactional subscription, until the task is aborted.
async fn keep_table(place: &Place, store: &EventStore) -> JoinHandle<evercore::Result<()>> {
    run(&mut place.session().await, "CREATE TABLE handled (position bigint)").await;
    let subscription = store.subscription(EXACT).batch_size(10).poll_interval(Duration::from_millis(50));
    let handler = |batch: Batch<RecordedEvent>,
                   mut transaction: sqlx::Transaction<'static, sqlx::Postgres>| async {
        for event in batch {
            let insert = sqlx::query("INSERT INTO handled VALUES ($1)").bind(event.position().get());
            insert.execute(&mut *transaction).await?;
        }
        Ok::<_, HandlerError>(transaction)
    };
    tokio::spawn(subscription.run_transactional::<PostgresEngine, _, _>(handler))
}

async fn rows(session: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM handled").fetch_one(session).await.expect("a count")
}

/// Waits until a subscription is where the log ends, on connections of which some may be broken.
async fn caught_up(store: &EventStore, name: &str) {
    loop {
        match store.wait_until_caught_up(name, PATIENCE).await {
            Ok(()) => return,
            Err(error) if error.is_temporary() => tokio::task::yield_now().await,
            Err(error) => panic!("{name}: {error:?}"),
        }
    }
}

async fn positions(store: &EventStore) -> Vec<Position> {
    let (mut log, mut positions) = (store.log(LogFilter::new(), Position::START), Vec::new());
    loop {
        let page = log.page(10_000).await.expect("a page");
        if page.events.is_empty() {
            return positions;
        }
        positions.extend(page.events.iter().map(RecordedEvent::position));
    }
}

/// Each event is in the table once.
async fn assert_table_is_exact(place: &Place, store: &EventStore) {
    let mut session = place.session().await;
    let found: Vec<i64> =
        sqlx::query_scalar("SELECT position FROM handled").fetch_all(&mut session).await.expect("positions");
    let (rows, distinct) = (found.len(), found.into_iter().collect::<HashSet<_>>());
    let log = positions(store).await;
    let lost = log.iter().filter(|position| !distinct.contains(&position.get())).count();
    eprintln!("events {}, lost {lost}, duplicates {}", log.len(), rows - distinct.len());
    assert_eq!((lost, rows), (0, log.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_whose_connections_are_ended_are_handled_once() -> TestResult {
    const ENDS: i64 = 10;
    let place = Place::new().await;
    let store = open(&place.url()).await;
    count(&store, 1_000).await?;
    let keeping = keep_table(&place, &store).await;
    let mut session = place.session().await;
    for end in 0..ENDS {
        // Each time something was handled in between, and something is left.
        while rows(&mut session).await <= end * 80 {
            assert!(!keeping.is_finished());
        }
        run(&mut session, END_SESSIONS).await;
    }
    caught_up(&store, EXACT).await;
    assert_table_is_exact(&place, &store).await;
    assert!(!keeping.is_finished());
    keeping.abort();
    Ok(())
}

/// Commits that move the cursor wait for whoever holds the lock.
const COMMITS_WAIT: &str = "
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER wait AFTER UPDATE OF position ON evercore.subscription_cursors
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()";

/// The sessions that wait for another one.
const WAITING: &str = "SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";

/// A transactional subscription in the middle of a commit.
struct Committing {
    store: EventStore,
    keeping: JoinHandle<evercore::Result<()>>,
    /// For whom the commit waits.
    lock: PgConnection,
}

impl Committing {
    async fn new(place: &Place, url: &str) -> Self {
        let store = open(url).await;
        count(&store, 35).await.expect("events");
        run(&mut place.session().await, COMMITS_WAIT).await;
        let mut lock = place.session().await;
        run(&mut lock, "SELECT pg_advisory_lock(7)").await;
        let keeping = keep_table(place, &store).await;
        let committing = Self { store, keeping, lock };
        committing.until_waiting(place, 1).await;
        committing
    }

    /// Waits until so many sessions wait, and returns them.
    async fn until_waiting(&self, place: &Place, sessions: usize) -> Vec<i32> {
        let mut session = place.session().await;
        loop {
            let found: Vec<i32> =
                sqlx::query_scalar(WAITING).fetch_all(&mut session).await.expect("sessions");
            if found.len() >= sessions {
                return found;
            }
            assert!(!self.keeping.is_finished(), "it does not wait");
        }
    }

    async fn assert_goes_on(self, place: &Place) {
        drop(self.lock.close().await);
        caught_up(&self.store, EXACT).await;
        assert_table_is_exact(place, &self.store).await;
        self.keeping.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_ended_by_the_server_is_made_again() -> TestResult {
    let place = Place::new().await;
    let committing = Committing::new(&place, &place.url()).await;
    // This session alone: where the cursor is can be asked at once.
    let waiting = committing.until_waiting(&place, 1).await;
    let end = format!("SELECT pg_terminate_backend({})", waiting[0]);
    run(&mut place.session().await, end).await;
    committing.assert_goes_on(&place).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_session_is_killed_is_made_again() -> TestResult {
    let server = private().await;
    let place = place_on(&server).await;
    let committing = Committing::new(&place, &place.url()).await;
    let waiting = committing.until_waiting(&place, 1).await;
    let process = waiting[0];
    // The server ends all sessions then, and recovers.
    blocking(move || server.kill_backend_9(process)).await;
    while PgConnection::connect(&place.url()).await.is_err() {}
    committing.assert_goes_on(&place).await;
    Ok(())
}

// The worst case: the answer to the commit does not arrive, the batch is handled again, and only then the
// commit is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_made_after_all_is_not_made_twice() -> TestResult {
    let place = Place::new().await;
    let wire = Wire::before(&place.url()).await?;
    let committing = Committing::new(&place, &wire.url).await;
    wire.cut.send_replace(());
    // The second transaction waits for the first, which the server does not know to be forsaken.
    committing.until_waiting(&place, 2).await;
    committing.assert_goes_on(&place).await;
    Ok(())
}

/// Between an engine and its server. When it is cut, the server does not notice.
struct Wire {
    url: String,
    cut: watch::Sender<()>,
}

impl Wire {
    async fn before(url: &str) -> io::Result<Self> {
        let (before, after) = url.rsplit_once('@').expect("a URL with a user");
        let (server, database) = after.split_once('/').expect("a URL with a database");
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let own = format!("{before}@{}/{database}?sslmode=disable", listener.local_addr()?);
        let (server, cut) = (server.to_owned(), watch::Sender::new(()));
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(&server).await {
                    tokio::spawn(pass_on(client, server, cuts.subscribe()));
                }
            }
        });
        Ok(Self { url: own, cut })
    }
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, mut cut: watch::Receiver<()>) {
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = cut.changed() => {
            drop(client);
            let _ = tokio::io::copy(&mut server, &mut tokio::io::sink()).await;
        }
    }
}

/// Commits until told to stop, whatever happens.
async fn commit_until(store: EventStore, made: Arc<AtomicUsize>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        match count(&store, 3).await {
            Ok(()) => drop(made.fetch_add(1, Ordering::SeqCst)),
            Err(error) if error.is_temporary() => tokio::task::yield_now().await,
            Err(Error::OutcomeUnknown { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn noting(handled: &Handled) -> impl Fn(&Batch<RecordedEvent>) + Send + Sync + use<> {
    let handled = Arc::clone(handled);
    move |batch| handled.lock().expect("no panic").extend(batch.iter().map(RecordedEvent::position))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscriptions_go_on_when_the_server_was_restarted_under_load() -> TestResult {
    let server = private().await;
    let place = place_on(&server).await;
    let store = open(&place.url()).await;
    let (plain, ephemeral) = (Handled::default(), Handled::default());
    let keeping = keep_table(&place, &store).await;
    let noted = noting(&plain);
    let running = tokio::spawn(store.subscription(PLAIN).run(move |batch| {
        noted(&batch);
        async { Ok(()) }
    }));
    let (noted, (ready, mut is_ready)) = (noting(&ephemeral), watch::channel(false));
    let subscription = store.ephemeral_subscription().on_ready(move |_| {
        ready.send_replace(true);
    });
    let following = tokio::spawn(subscription.run(move |batch| {
        noted(&batch);
        async { Ok(()) }
    }));
    is_ready.wait_for(|is_ready| *is_ready).await?;

    let (made, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(commit_until(store.clone(), Arc::clone(&made), Arc::clone(&stop))))
        .collect();
    let more = async || {
        let before = made.load(Ordering::SeqCst);
        while made.load(Ordering::SeqCst) < before + 50 {
            tokio::task::yield_now().await;
        }
    };
    more().await;
    for kill in [true, false] {
        let server = Arc::clone(&server);
        blocking(move || {
            if kill {
                server.kill_9()?;
            }
            server.restart()
        })
        .await;
        more().await;
    }
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await?;
    }

    caught_up(&store, EXACT).await;
    caught_up(&store, PLAIN).await;
    let log = positions(&store).await;
    let has_all = || ephemeral.lock().expect("no panic").last() >= log.last();
    timeout(PATIENCE, async {
        while !has_all() {
            tokio::task::yield_now().await;
        }
    })
    .await?;
    assert_table_is_exact(&place, &store).await;
    assert_eq!(*ephemeral.lock().expect("no panic"), log, "without loss and without repetition");
    let mut plain = plain.lock().expect("no panic").clone();
    let deliveries = plain.len();
    plain.sort_unstable();
    plain.dedup();
    eprintln!("at least once: events {}, repeated {}", log.len(), deliveries - plain.len());
    assert_eq!(plain, log, "nothing is lost");
    for task in [keeping, running, following] {
        assert!(!task.is_finished());
        task.abort();
    }
    Ok(())
}
