//! The engine: every operation is one call on a connection's own thread.

use std::{fmt, path::Path, sync::OnceLock};

use evercore::{
    AggregateId, AggregateTypeId, NaturalKey, Position,
    engine::{
        Changes, Checkpoint, CommitError, CommitOutcome, EngineError, IdBlock, Listener, Load,
        LoadedAggregate, LogPage, LogRead, OwnerError, PastCommit, StorageEngine, Timestamp,
        TransactionalEngine, TypeCatalog, TypeNames,
    },
};
use sqlx::{Sqlite, SqlitePool, Transaction, sqlite::SqlitePoolOptions};

use crate::{
    commit, cursor, driver,
    error::{ENGINE, Problem},
    migrate,
    options::SqliteEngineBuilder,
    read,
    source::{Access, Location, Migration, Settings, Source},
    statements,
    threads::{Readers, Threads},
    types,
};

/// A store in a SQLite database.
///
/// See the [crate](crate) for an example and for what it promises.
pub struct SqliteEngine {
    source: Source,
    /// The database's file, as SQLite names it.
    database: String,
    threads: Threads,
    pool: OnceLock<SqlitePool>,
    /// The pool that the application gave, which is its own to close.
    given_pool: Option<SqlitePool>,
}

impl SqliteEngine {
    /// Opens the store at a URL, with the defaults of the [builder](Self::builder): `sqlite://app.db`, `sqlite:app.db`,
    /// `sqlite::memory:`. The file is created when it does not exist.
    ///
    /// # Errors
    ///
    /// As for [`SqliteEngineBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, EngineError> {
        Self::builder().url(url).connect().await
    }

    /// Says how to open a store.
    pub fn builder() -> SqliteEngineBuilder {
        SqliteEngineBuilder::new()
    }

    /// Opens the store in the database of a pool. The engine opens connections of its own on the pool's file,
    /// with the pool's `synchronous` and busy timeout, and uses the pool for
    /// [transactions](TransactionalEngine::begin) alone. The file's journal mode becomes WAL. The pool stays the
    /// application's: closing the engine does not close it.
    ///
    /// # Errors
    ///
    /// As for [`SqliteEngineBuilder::connect`];
    /// [`Unsupported`](evercore::engine::EngineErrorKind::Unsupported) when the pool's database is in memory, where no other connection
    /// finds it.
    pub async fn from_pool(pool: SqlitePool) -> Result<Self, EngineError> {
        let source = source_of(&pool).await.map_err(|problem| problem.during("open the store"))?;
        let engine = Self::open(source).await?;
        Ok(Self { given_pool: Some(pool), ..engine })
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    pub(crate) fn threads(&self) -> &Threads {
        &self.threads
    }

    pub(crate) async fn open(source: Source) -> Result<Self, EngineError> {
        let (threads, database) = start(&source).await.map_err(|problem| problem.during("open the store"))?;
        Ok(Self { source, database, threads, pool: OnceLock::new(), given_pool: None })
    }

    /// Brings the schema to this version of the library. [`connect`](Self::connect) does that by itself, unless
    /// [told not to](SqliteEngineBuilder::without_migration).
    ///
    /// # Errors
    ///
    /// When the database cannot be written to, or its schema is newer.
    pub async fn migrate(&self) -> Result<(), EngineError> {
        let migrated = self.threads.write(migrate::migrate).await;
        migrated.map_err(|problem| problem.during("migrate the schema"))
    }

    /// Connections to the same database for the application: for its own tables, and for transactions in which
    /// events are written too ([`begin`](TransactionalEngine::begin)). It is made when it is first asked for, and closed
    /// with the engine, which waits for the connections that are in use.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        let own = || {
            let options = self.source.sqlx_options();
            SqlitePoolOptions::new().test_before_acquire(false).connect_lazy_with(options)
        };
        self.given_pool.as_ref().unwrap_or_else(|| self.pool.get_or_init(own))
    }
}

/// The file of a pool, and what its connections wait for.
async fn source_of(pool: &SqlitePool) -> Result<Source, Problem> {
    let mut connection = pool.acquire().await?;
    let file = statements::database(&mut *connection).await?;
    if !Path::new(&file).is_file() {
        return Err(Problem::UnsharedPool);
    }
    let settings = Settings::like(statements::settings(&mut *connection).await?);
    Ok(Source { location: Location::File(file.into()), settings })
}

/// Starts the threads, the one that writes first, and asks which database it is.
async fn start(source: &Source) -> Result<(Threads, String), Problem> {
    let readers = match source.location {
        Location::File(_) => Readers::Own,
        Location::Memory(_) => Readers::Shared,
    };
    let threads = Threads::new(readers);
    let own = source.clone();
    let open = move || {
        let mut connection = own.open_writer()?;
        match (own.settings.access, own.settings.migration) {
            (Access::ReadOnly, _) => migrate::check(&mut connection)?,
            (_, Migration::OnConnect) => migrate::migrate(&mut connection)?,
            (_, Migration::Manual) => migrate::refuse_newer(&mut connection)?,
        }
        Ok(connection)
    };
    threads.start_writer(open).await?;
    if let Readers::Own = readers {
        for _ in 0..source.settings.readers {
            let own = source.clone();
            threads.start_reader(move || own.open_reader()).await?;
        }
    }
    let database = threads.write(|connection| driver::now(statements::database(connection))).await?;
    Ok((threads, database))
}

impl fmt::Debug for SqliteEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEngine").field("source", &self.source).finish_non_exhaustive()
    }
}

impl StorageEngine for SqliteEngine {
    fn name(&self) -> &'static str {
        ENGINE
    }

    async fn define_types(&self, names: &TypeNames) -> Result<TypeCatalog, EngineError> {
        let names = names.clone();
        let defined = self.threads.write(move |connection| types::define(connection, &names)).await;
        defined.map_err(|problem| problem.during("define types"))
    }

    async fn types(&self) -> Result<TypeCatalog, EngineError> {
        self.threads.read(types::all).await.map_err(|problem| problem.during("read types"))
    }

    async fn reserve_ids(&self, count: u32) -> Result<IdBlock, EngineError> {
        let reserved = self.threads.write(move |connection| {
            // In a transaction of its own: the driver says nothing when a row was returned and the end of the
            // statement, which would commit, fails.
            driver::in_transaction(connection, statements::BEGIN, |connection| {
                let mut statement = connection.prepare_cached(statements::RESERVE_IDS)?;
                Ok(IdBlock {
                    first: AggregateId::new(statement.query_row([count], |row| row.get(0))?),
                    count,
                })
            })
        });
        reserved.await.map_err(|problem| problem.during("reserve ids"))
    }

    async fn commit(&self, changes: &Changes) -> Result<CommitOutcome, CommitError> {
        self.threads.commit(changes.clone()).await
    }

    async fn find_commit(&self, key: &str) -> Result<Option<PastCommit>, EngineError> {
        let key = key.to_owned();
        let found = self
            .threads
            .read(move |connection| driver::now(statements::find_idempotency_key(connection, &key)));
        found.await.map_err(|problem| problem.during("find a commit by its idempotency key"))
    }

    async fn forget_keys(&self, before: Timestamp) -> Result<u64, EngineError> {
        let forgotten = self.threads.write(move |connection| {
            let forgotten = connection.prepare_cached(statements::FORGET_KEYS)?.execute([before.micros()])?;
            Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
        });
        forgotten.await.map_err(|problem| problem.during("forget idempotency keys"))
    }

    async fn find_by_key(
        &self,
        type_id: AggregateTypeId,
        key: &NaturalKey,
    ) -> Result<Option<AggregateId>, EngineError> {
        let key = key.clone();
        let found = self.threads.read(move |connection| read::find_by_key(connection, type_id, &key)).await;
        found.map_err(|problem| problem.during("find an aggregate by key"))
    }

    async fn load(&self, requests: &[Load]) -> Result<Vec<Option<LoadedAggregate>>, EngineError> {
        let requests = requests.to_vec();
        let loaded = self.threads.read(move |connection| read::load(connection, &requests)).await;
        loaded.map_err(|problem| problem.during("load aggregates"))
    }

    async fn aggregate_ids(
        &self,
        type_id: AggregateTypeId,
        after: Option<AggregateId>,
        limit: u32,
    ) -> Result<Vec<AggregateId>, EngineError> {
        let ids = self.threads.read(move |connection| read::aggregate_ids(connection, type_id, after, limit));
        ids.await.map_err(|problem| problem.during("list aggregates"))
    }

    async fn read_log(&self, read: &LogRead) -> Result<LogPage, EngineError> {
        let request = read.clone();
        let page = self.threads.read(move |connection| read::log(connection, &request)).await;
        page.map_err(|problem| problem.during("read the log"))
    }

    async fn head(&self) -> Result<Position, EngineError> {
        let head = self.threads.read(|connection| read::head(connection)).await;
        head.map_err(|problem| problem.during("find the head of the log"))
    }

    async fn locate(&self, since: Timestamp) -> Result<Position, EngineError> {
        let position = self.threads.read(move |connection| read::locate(connection, since)).await;
        position.map_err(|problem| problem.during("find a time in the log"))
    }

    fn watch(&self) -> Listener {
        let listener = self.threads.doorbell().listen();
        // No other engine finds a database in memory.
        if let Location::File(_) = self.source.location {
            let own = self.source.clone();
            self.threads.watch(move || own.open_reader());
        }
        listener
    }

    async fn close(&self) -> Result<(), EngineError> {
        self.threads.stop();
        let pool = self.pool.get().map(SqlitePool::close);
        self.threads.stopped().await;
        if let Some(pool) = pool {
            pool.await;
        }
        Ok(())
    }
}

impl TransactionalEngine for SqliteEngine {
    type Transaction = Transaction<'static, Sqlite>;

    const BLOCKS_WRITERS: bool = true;

    /// Waits for the write lock first (`BEGIN IMMEDIATE`): a transaction that reads and then writes
    /// would be refused when somebody else wrote meanwhile, without a wait.
    async fn begin(&self) -> Result<Self::Transaction, EngineError> {
        if self.threads.are_stopped() {
            return Err(Problem::Closed.during("begin a transaction"));
        }
        // SQLite would begin it, and refuse the first statement that writes.
        if self.source.settings.access == Access::ReadOnly {
            return Err(Problem::ReadOnly.during("begin a transaction"));
        }
        let begun = self.pool().begin_with(statements::BEGIN).await;
        begun.map_err(|error| Problem::from(error).during("begin a transaction"))
    }

    async fn commit_in(
        &self,
        changes: &Changes,
        transaction: &mut Self::Transaction,
    ) -> Result<CommitOutcome, CommitError> {
        commit::write_in(transaction, self, changes).await
    }

    async fn checkpoint_in(
        &self,
        checkpoint: &Checkpoint,
        transaction: &mut Self::Transaction,
    ) -> Result<(), OwnerError> {
        let moved = cursor::move_in(transaction, self, checkpoint).await;
        moved.map_err(|problem| problem.during(cursor::MOVE))
    }

    async fn finish(&self, transaction: Self::Transaction) -> Result<(), EngineError> {
        let committed = transaction.commit().await;
        committed.map_err(|error| Problem::from(error).of_commit().during("commit a transaction"))?;
        self.threads.doorbell().ring();
        Ok(())
    }
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<SqliteEngine>();
};
