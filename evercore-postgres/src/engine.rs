//! The engine: every operation is one call of the server.

use std::{fmt, sync::OnceLock};

use evercore::{
    AggregateId, AggregateTypeId, NaturalKey, Position,
    engine::{
        Changes, Checkpoint, CommitError, CommitOutcome, EngineError, IdBlock, Listener, Load,
        LoadedAggregate, LogPage, LogRead, OwnerError, PastCommit, StorageEngine, Timestamp,
        TransactionalEngine, TypeCatalog, TypeNames,
    },
};
use sqlx::{
    PgPool, Postgres, Row as _, Transaction,
    postgres::{PgPoolOptions, PgRow},
};

use crate::{
    commit,
    connections::{Connections, Target},
    doorbell::SharedDoorbell,
    error::{ENGINE, Problem},
    horizon::Horizon,
    migrate,
    options::{Migration, PostgresEngineBuilder},
    read::{self, Log},
    row,
    schema::Schema,
    statements::{Query, Statements},
    subscriptions, types,
};

/// A store in a PostgreSQL database.
///
/// See the [crate](crate) for an example and for what it promises.
pub struct PostgresEngine {
    connections: Connections,
    statements: Statements,
    schema: Schema,
    /// The id of the store, by which transactions of another one are known.
    store: String,
    horizon: Horizon,
    doorbell: SharedDoorbell,
    pool: OnceLock<PgPool>,
}

impl PostgresEngine {
    /// Opens the store in the database at a URL, with the defaults of the [builder](Self::builder):
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. The tables are made when they do not exist.
    ///
    /// # Errors
    ///
    /// As for [`PostgresEngineBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, EngineError> {
        Self::builder().url(url).connect().await
    }

    /// Says how to open a store.
    pub fn builder() -> PostgresEngineBuilder {
        PostgresEngineBuilder::new()
    }

    /// Opens the store in the database of a pool; see [`PostgresEngineBuilder::pool`].
    ///
    /// # Errors
    ///
    /// As for [`PostgresEngineBuilder::connect`].
    pub async fn from_pool(pool: PgPool) -> Result<Self, EngineError> {
        Self::builder().pool(pool).connect().await
    }

    /// The whole schema as SQL text, in one transaction, for people who apply it by hand to a database that has
    /// none yet.
    ///
    /// # Errors
    ///
    /// When the name of the schema is not made of letters, digits and underscores.
    pub fn migrations_sql(schema: &str) -> Result<String, EngineError> {
        let schema = Schema::new(schema).map_err(|problem| problem.during("write the migrations"))?;
        Ok(migrate::sql(&schema))
    }

    /// Brings a schema to this version of the library. [`connect`](Self::connect) does that by itself, unless
    /// [told not to](PostgresEngineBuilder::without_migration); this is for a step of its own, with a role that
    /// may create tables.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, the role lacks rights, or the schema is newer.
    pub async fn migrate(builder: PostgresEngineBuilder) -> Result<(), EngineError> {
        let migrated = async {
            let (target, schema) = builder.resolve()?;
            let mut connection = Connections::new(target, builder.limits).connect().await?;
            let limit = builder.limits.statement;
            migrate::migrate(&mut connection, &schema, &Statements::new(&schema), limit).await
        };
        migrated.await.map_err(|problem: Problem| problem.during("migrate the schema"))
    }

    pub(crate) async fn open(builder: PostgresEngineBuilder) -> Result<Self, Problem> {
        let (target, schema) = builder.resolve()?;
        let (statements, contacts) = (Statements::new(&schema), builder.contacts(&target)?);
        let connections = Connections::new(target, builder.limits);
        let (mut first, limit) = (connections.connect().await?, builder.limits.statement);
        match builder.migration {
            Migration::OnConnect => migrate::migrate(&mut first, &schema, &statements, limit).await?,
            Migration::Manual => migrate::check(&mut first, &statements, limit).await?,
        }
        let store = connections.adopt(first, &statements).await?.to_owned();
        let doorbell = SharedDoorbell::new(&store, contacts, builder.limits, statements.clone())?;
        let horizon = if builder.without_horizon { Horizon::off() } else { Horizon::default() };
        let pool = OnceLock::new();
        Ok(Self { connections, statements, schema, store, horizon, doorbell, pool })
    }

    /// Connections to the same database for the application: for its own tables, and for transactions in which
    /// events are written too ([`begin`](TransactionalEngine::begin)). It is the pool that the engine was opened
    /// with, or one that is made when it is first asked for.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        match self.connections.target() {
            Target::Pool(pool) => pool,
            Target::Options(options) => self.pool.get_or_init(|| {
                let limits = self.connections.limits();
                PgPoolOptions::new()
                    .max_connections(limits.connections)
                    .acquire_timeout(limits.connecting)
                    .test_before_acquire(false)
                    .connect_lazy_with((**options).clone())
            }),
        }
    }

    pub(crate) fn statements(&self) -> &Statements {
        &self.statements
    }

    pub(crate) fn store(&self) -> &str {
        &self.store
    }

    pub(crate) async fn fetch(&self, query: Query<'_>) -> Result<Vec<PgRow>, Problem> {
        self.connections.fetch(&self.statements, query).await
    }

    /// Runs a statement that writes.
    pub(crate) async fn write<'q>(&self, query: impl Fn() -> Query<'q>) -> Result<Vec<PgRow>, Problem> {
        self.connections.write(&self.statements, query).await
    }

    /// The first column of the only row that a statement returns which writes.
    pub(crate) async fn write_number<'q>(&self, query: impl Fn() -> Query<'q>) -> Result<i64, Problem> {
        let rows = self.write(query).await?;
        Ok(rows.first().ok_or(Problem::NoAnswer)?.try_get(0)?)
    }

    fn log(&self) -> Log<'_> {
        Log { connections: &self.connections, statements: &self.statements, horizon: &self.horizon }
    }
}

impl fmt::Debug for PostgresEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresEngine")
            .field("schema", &self.schema)
            .field("store", &self.store)
            .field("limits", &self.connections.limits())
            .finish_non_exhaustive()
    }
}

impl StorageEngine for PostgresEngine {
    fn name(&self) -> &'static str {
        ENGINE
    }

    async fn define_types(&self, names: &TypeNames) -> Result<TypeCatalog, EngineError> {
        let defined = types::define(&self.connections, &self.statements, names).await;
        defined.map_err(|problem| problem.during("define types"))
    }

    async fn types(&self) -> Result<TypeCatalog, EngineError> {
        let types = types::all(&self.connections, &self.statements).await;
        types.map_err(|problem| problem.during("read types"))
    }

    async fn reserve_ids(&self, count: u32) -> Result<IdBlock, EngineError> {
        let first = self.write_number(|| self.statements.reserve_ids(count)).await;
        let first = first.map_err(|problem| problem.during("reserve ids"))?;
        Ok(IdBlock { first: AggregateId::new(first), count })
    }

    async fn commit(&self, changes: &Changes) -> Result<CommitOutcome, CommitError> {
        let outcome = commit::commit(&self.connections, &self.statements, changes).await?;
        if let CommitOutcome::Committed { last_position: Some(_), .. } = outcome {
            self.doorbell.ring();
        }
        Ok(outcome)
    }

    async fn find_commit(&self, key: &str) -> Result<Option<PastCommit>, EngineError> {
        let rows = self.fetch(self.statements.find_commit(key)).await;
        let found = rows.and_then(|rows| rows.first().map(row::past_commit).transpose());
        found.map_err(|problem| problem.during("find a commit"))
    }

    async fn forget_keys(&self, before: Timestamp) -> Result<u64, EngineError> {
        let forgotten = self.write_number(|| self.statements.forget_keys(before)).await;
        let forgotten = forgotten.map_err(|problem| problem.during("forget idempotency keys"))?;
        Ok(forgotten.unsigned_abs())
    }

    async fn find_by_key(
        &self,
        type_id: AggregateTypeId,
        key: &NaturalKey,
    ) -> Result<Option<AggregateId>, EngineError> {
        let rows = self.fetch(self.statements.find_by_key(type_id, key)).await;
        let ids = rows.and_then(|rows| ids(&rows));
        Ok(ids.map_err(|problem| problem.during("find an aggregate by key"))?.pop())
    }

    async fn load(&self, requests: &[Load]) -> Result<Vec<Option<LoadedAggregate>>, EngineError> {
        let rows = self.fetch(self.statements.load(requests)).await;
        let loaded = rows.and_then(|rows| read::loaded(requests, &rows));
        loaded.map_err(|problem| problem.during("load aggregates"))
    }

    async fn aggregate_ids(
        &self,
        type_id: AggregateTypeId,
        after: Option<AggregateId>,
        limit: u32,
    ) -> Result<Vec<AggregateId>, EngineError> {
        let rows = self.fetch(self.statements.aggregate_ids(type_id, after, limit)).await;
        rows.and_then(|rows| ids(&rows)).map_err(|problem| problem.during("list aggregates"))
    }

    async fn read_log(&self, read: &LogRead) -> Result<LogPage, EngineError> {
        self.log().page(read).await.map_err(|problem| problem.during("read the log"))
    }

    async fn head(&self) -> Result<Position, EngineError> {
        self.log().head().await.map_err(|problem| problem.during("find the head of the log"))
    }

    async fn locate(&self, since: Timestamp) -> Result<Position, EngineError> {
        self.log().locate(since).await.map_err(|problem| problem.during("find a time in the log"))
    }

    /// Rings after commits of this engine, and soon after those of others on the same store, as far as it
    /// [listens](PostgresEngineBuilder::listen_url) for them.
    fn watch(&self) -> Listener {
        self.doorbell.listen()
    }

    async fn close(&self) -> Result<(), EngineError> {
        self.connections.close().await;
        if let Some(pool) = self.pool.get() {
            pool.close().await;
        }
        self.doorbell.close().await;
        Ok(())
    }
}

fn ids(rows: &[PgRow]) -> Result<Vec<AggregateId>, Problem> {
    let ids = rows.iter().map(|row| Ok(AggregateId::new(row.try_get(0)?)));
    ids.collect()
}

impl TransactionalEngine for PostgresEngine {
    type Transaction = Transaction<'static, Postgres>;

    const BLOCKS_WRITERS: bool = false;

    /// The transaction is `READ COMMITTED`, whatever the role's default is, so that conflicts say the actual
    /// sequence.
    async fn begin(&self) -> Result<Self::Transaction, EngineError> {
        if self.connections.is_closed() {
            return Err(Problem::Closed.during("begin a transaction"));
        }
        let pool = self.pool().clone();
        // In a task, which goes on when this call is given up: a pool takes a connection back whose `BEGIN` is
        // under way, and what the application then writes on it would be part of a transaction that nobody ends.
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
        let beginning = tokio::spawn(async move { pool.begin_with(begin).await });
        let begun = beginning.await.unwrap_or(Err(sqlx::Error::WorkerCrashed));
        begun.map_err(|error| Problem::from(error).during("begin a transaction"))
    }

    async fn commit_in(
        &self,
        changes: &Changes,
        transaction: &mut Self::Transaction,
    ) -> Result<CommitOutcome, CommitError> {
        commit::write_in(transaction, self, changes).await
    }

    /// From here until the transaction ends claims and changes of the subscription wait for it; renewing its lease does
    /// not.
    async fn checkpoint_in(
        &self,
        checkpoint: &Checkpoint,
        transaction: &mut Self::Transaction,
    ) -> Result<(), OwnerError> {
        subscriptions::checkpoint_in(transaction, self, checkpoint).await
    }

    /// A transaction in which a statement failed is an error: the server answers its `COMMIT` with a rollback, as
    /// if that were what was asked for. So it is asked first.
    async fn finish(&self, mut transaction: Self::Transaction) -> Result<(), EngineError> {
        let intact = sqlx::query("SELECT").execute(&mut *transaction).await;
        intact
            .map_err(|error| Problem::NotCommitted(Box::new(error.into())).during("commit a transaction"))?;
        let committed = transaction.commit().await.map_err(|error| Problem::from(error).of_finish());
        committed.map_err(|problem| problem.during("commit a transaction"))?;
        self.doorbell.ring();
        Ok(())
    }
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<PostgresEngine>();
};
