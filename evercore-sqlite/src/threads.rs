//! The threads on which the engine calls SQLite: one that writes, some that read, one that watches.
//!
//! A connection lives on its thread, takes work from a queue and answers through a channel of one value.
//! Work that was handed over is done, whether or not its caller still waits.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use evercore::engine::{Changes, CommitError, CommitOutcome, Doorbell};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::{
    checkpoint,
    commit::commit,
    driver,
    error::{OwnerProblem, Problem},
    watcher::{Eye, Watcher},
};

/// A call to make on a connection.
type Call = Box<dyn FnOnce(&mut Connection) + Send>;

/// What a thread does.
enum Work {
    /// Makes a call.
    Call(Call),
    /// Writes the changes of a unit of work, and rings the doorbell.
    Commit(Box<Changes>, oneshot::Sender<Result<CommitOutcome, CommitError>>),
}

/// The threads of one engine. They end when this is dropped and what was handed over is done.
pub(crate) struct Threads {
    writer: Arc<Queue<Work>>,
    readers: Arc<Queue<Work>>,
    /// Each thread holds a receiver of it; it is closed when all of them have ended.
    running: watch::Sender<()>,
    watcher: Arc<Watcher>,
}

impl Threads {
    /// No threads yet. With [`Readers::Shared`] the writer's thread also reads.
    pub(crate) fn new(readers: Readers) -> Self {
        let writer = Arc::new(Queue::new());
        let readers = match readers {
            Readers::Shared => Arc::clone(&writer),
            Readers::Own => Arc::new(Queue::new()),
        };
        Self { writer, readers, running: watch::Sender::new(()), watcher: Arc::new(Watcher::new()) }
    }

    /// Rings after commits that wrote events.
    pub(crate) fn doorbell(&self) -> &Doorbell {
        self.watcher.doorbell()
    }

    /// Somebody listens to the doorbell, and wants to hear of commits that are made elsewhere too.
    pub(crate) fn watch(&self, open: impl Fn() -> Result<Connection, Problem> + Send + 'static) {
        self.watcher.wake(|| {
            let (watcher, running) = (Arc::clone(&self.watcher), self.running.subscribe());
            let seat = Seat::take(&self.readers);
            let run = move || {
                let mut eye = Eye::new(open);
                watcher.run(|| eye.look());
                drop(eye);
                drop((seat, running));
            };
            if let Err(error) = thread::Builder::new().name("evercore-sqlite-watcher".to_owned()).spawn(run) {
                tracing::warn!(%error, "cannot start the thread that looks for commits of others");
            }
        });
    }

    /// Starts the thread that writes, on the connection that `open` makes there.
    pub(crate) async fn start_writer(
        &self,
        open: impl FnOnce() -> Result<Connection, Problem> + Send + 'static,
    ) -> Result<(), Problem> {
        let readers = Arc::clone(&self.readers);
        // The last connection empties the write-ahead log. Of two that close at once neither is the last.
        let close = move |connection| {
            readers.wait_until_left();
            drop(connection);
        };
        self.start("evercore-sqlite-writer", &self.writer, open, close).await
    }

    /// Starts a thread that reads.
    pub(crate) async fn start_reader(
        &self,
        open: impl FnOnce() -> Result<Connection, Problem> + Send + 'static,
    ) -> Result<(), Problem> {
        let seat = Seat::take(&self.readers);
        let close = move |connection| {
            drop(connection);
            drop(seat);
        };
        self.start("evercore-sqlite-reader", &self.readers, open, close).await
    }

    async fn start(
        &self,
        name: &str,
        queue: &Arc<Queue<Work>>,
        open: impl FnOnce() -> Result<Connection, Problem> + Send + 'static,
        close: impl FnOnce(Connection) + Send + 'static,
    ) -> Result<(), Problem> {
        let (opened, is_open) = oneshot::channel();
        let (queue, watcher) = (Arc::clone(queue), Arc::clone(&self.watcher));
        let running = self.running.subscribe();
        let run = move || {
            match open() {
                Ok(mut connection) => {
                    let _ = opened.send(Ok(()));
                    work(&mut connection, &queue, &watcher);
                    close(connection);
                }
                Err(problem) => {
                    let _ = opened.send(Err(problem));
                }
            }
            drop(running);
        };
        thread::Builder::new().name(name.to_owned()).spawn(run).map_err(Problem::Thread)?;
        is_open.await.unwrap_or(Err(Problem::Panicked))
    }

    /// Makes a call on the connection that writes.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        Self::call(&self.writer, call).await
    }

    /// Makes a call of a subscription's owner on the connection that writes.
    pub(crate) async fn write_as_owner<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Connection) -> Result<T, OwnerProblem> + Send + 'static,
    ) -> Result<T, OwnerProblem> {
        Self::call(&self.writer, call).await
    }

    /// Makes a call on a connection that reads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        Self::call(&self.readers, call).await
    }

    async fn call<T: Send + 'static, E: From<Problem> + Send + 'static>(
        queue: &Queue<Work>,
        call: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        let call = move |connection: &mut Connection| {
            let _ = answer.send(call(connection));
        };
        queue.push(Work::Call(Box::new(call)))?;
        answered.await.unwrap_or_else(|_| Err(Problem::Panicked.into()))
    }

    /// Writes the changes of a unit of work.
    pub(crate) async fn commit(&self, changes: Changes) -> Result<CommitOutcome, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.writer.push(Work::Commit(Box::new(changes), answer))?;
        answered.await.unwrap_or_else(|_| Err(Problem::Panicked.into()))
    }

    /// Lets the threads finish what was handed over; they take nothing more.
    pub(crate) fn stop(&self) {
        // First: it takes a seat at any time before.
        self.watcher.close();
        self.writer.close();
        self.readers.close();
    }

    /// Whether nothing more is taken.
    pub(crate) fn are_stopped(&self) -> bool {
        self.writer.is_closed()
    }

    /// Waits until all threads have ended.
    pub(crate) async fn stopped(&self) {
        self.running.closed().await;
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Which connections read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Readers {
    /// Connections that do nothing else.
    Own,
    /// The one that writes.
    Shared,
}

/// The life of a thread. A call that panics fails alone: its caller hears of it because the channel for the
/// answer is gone, and the connection goes on outside any transaction.
fn work(connection: &mut Connection, queue: &Queue<Work>, watcher: &Watcher) {
    while let Some(work) = queue.pop() {
        let run = || match work {
            Work::Call(call) => call(connection),
            Work::Commit(changes, answer) => {
                let outcome = commit(connection, &changes);
                if let Ok(CommitOutcome::Committed { last_position: Some(position), .. }) = outcome {
                    watcher.committed(position);
                }
                let _ = answer.send(outcome);
            }
        };
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            driver::roll_back(connection);
        }
        checkpoint::when_due(connection);
    }
}

/// Work that waits, first come, first served.
struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
    /// How many [seats](Seat) are taken.
    seats: usize,
}

/// Held by a thread that reads or watches until its connection is closed.
struct Seat<T>(Arc<Queue<T>>);

impl<T> Seat<T> {
    fn take(queue: &Arc<Queue<T>>) -> Self {
        queue.state().seats += 1;
        Self(Arc::clone(queue))
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        self.0.state().seats -= 1;
        self.0.changed.notify_all();
    }
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self {
            state: Mutex::new(State { waiting: VecDeque::new(), closed: false, seats: 0 }),
            changed: Condvar::new(),
        }
    }

    fn push(&self, item: T) -> Result<(), Problem> {
        let mut state = self.state();
        if state.closed {
            return Err(Problem::Closed);
        }
        state.waiting.push_back(item);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next item; waits for one. `None` when the queue is closed and empty.
    fn pop(&self) -> Option<T> {
        let state = self.state();
        let mut state = self
            .changed
            .wait_while(state, |state| state.waiting.is_empty() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting.pop_front()
    }

    fn is_closed(&self) -> bool {
        self.state().closed
    }

    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn wait_until_left(&self) {
        let left = self.changed.wait_while(self.state(), |state| state.seats > 0);
        drop(left.unwrap_or_else(PoisonError::into_inner));
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error, sync::mpsc, time::Duration};

    use rusqlite::Connection;

    use super::{Problem, Readers, Threads};

    async fn threads() -> Threads {
        let threads = Threads::new(Readers::Shared);
        threads.start_writer(|| Ok(Connection::open_in_memory()?)).await.expect("it starts");
        threads
    }

    #[tokio::test]
    async fn a_call_that_panics_fails_alone_and_leaves_no_transaction() {
        let threads = threads().await;
        let panicking = threads.write::<()>(|connection| {
            connection.execute_batch("CREATE TABLE before (a); BEGIN; CREATE TABLE within (a)")?;
            panic!("on purpose")
        });
        assert!(matches!(panicking.await, Err(Problem::Panicked)));
        let tables = threads.write::<String>(|connection| {
            assert!(connection.is_autocommit());
            Ok(connection.query_row("SELECT group_concat(name) FROM sqlite_schema", [], |row| row.get(0))?)
        });
        assert_eq!(tables.await.expect("the thread goes on"), "before");
    }

    #[tokio::test]
    async fn a_connection_that_panics_while_it_opens_is_an_error() {
        let threads = Threads::new(Readers::Shared);
        let started = threads.start_writer(|| panic!("on purpose")).await;
        assert!(matches!(started, Err(Problem::Panicked)));
        threads.stopped().await;
    }

    #[tokio::test]
    async fn what_was_handed_over_is_done_before_the_threads_end() {
        let threads = threads().await;
        let call = threads.write(|connection| Ok(connection.execute("CREATE TABLE a (a)", [])?));
        let (done, ()) = tokio::join!(biased; call, async { threads.stop() });
        assert_eq!(done.expect("it is done"), 0);
        assert!(matches!(threads.read(|_| Ok(())).await, Err(Problem::Closed)));
        threads.stopped().await;
    }

    // The last connection empties the log, and has to be the writer's.
    #[tokio::test]
    async fn the_writer_waits_for_the_watcher_before_it_closes() -> Result<(), Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let (path, log) = (directory.path().join("app.db"), directory.path().join("app.db-wal"));
        let threads = Threads::new(Readers::Own);
        let own = path.clone();
        let open = move || {
            let connection = Connection::open(own)?;
            connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE a (a)")?;
            Ok(connection)
        };
        threads.start_writer(open).await?;

        let (opening, is_opening) = mpsc::channel();
        let (proceed, may_proceed) = mpsc::channel::<()>();
        let _listener = threads.doorbell().listen();
        threads.watch(move || {
            let _ = opening.send(());
            let _ = may_proceed.recv();
            Ok(Connection::open(&path)?)
        });
        is_opening.recv()?;
        threads.stop();
        assert!(tokio::time::timeout(Duration::from_millis(100), threads.stopped()).await.is_err());
        assert!(log.exists(), "the writer's connection is open");
        drop(proceed);
        threads.stopped().await;
        assert!(!log.exists());
        Ok(())
    }
}
