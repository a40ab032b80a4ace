//! How to open a store.

use std::{fmt, num::NonZero, time::Duration};

use evercore::engine::EngineError;
use sqlx::{ConnectOptions as _, PgPool, postgres::PgConnectOptions};

use crate::{
    connections::{APPLICATION_NAME, Limits, Target},
    doorbell::Contacts,
    engine::PostgresEngine,
    error::Problem,
    schema::Schema,
};

/// How to open a store; begin with [`PostgresEngine::builder`].
///
/// ```
/// use std::{num::NonZero, time::Duration};
///
/// use evercore_postgres::PostgresEngine;
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = PostgresEngine::builder()
///     .url("postgres://app:secret@db.example.com/orders")
///     .schema("order_events")
///     .pool_size(NonZero::new(20).ok_or("it is not zero")?)
///     .statement_timeout(Duration::from_secs(5))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing is opened before `connect`"]
pub struct PostgresEngineBuilder {
    target: Option<Source>,
    application_name: Option<String>,
    pub(crate) schema: String,
    pub(crate) limits: Limits,
    pub(crate) migration: Migration,
    listening: Listening,
    without_telling: bool,
    pub(crate) without_horizon: bool,
}

/// Where the database is, as the application says.
#[derive(Clone)]
enum Source {
    Url(String),
    Pool(PgPool),
}

/// Who brings the schema to this version of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Migration {
    OnConnect,
    Manual,
}

/// Where the engine listens for commits of other processes.
#[derive(Clone)]
enum Listening {
    Here,
    At(String),
    Nowhere,
}

impl PostgresEngineBuilder {
    pub(crate) fn new() -> Self {
        Self {
            target: None,
            application_name: None,
            schema: "evercore".to_owned(),
            limits: Limits {
                connections: 10,
                connecting: Duration::from_secs(10),
                statement: Duration::from_secs(30),
            },
            migration: Migration::OnConnect,
            listening: Listening::Here,
            without_telling: false,
            without_horizon: false,
        }
    }

    /// In this database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with the parameters that sqlx knows, for
    /// example `?sslmode=require`. What the URL leaves open is taken from the environment, as `psql` does it.
    pub fn url(mut self, url: &str) -> Self {
        self.target = Some(Source::Url(url.to_owned()));
        self
    }

    /// In the database of a pool. The engine makes connections of its own to where the pool's connections go,
    /// and uses the pool for [transactions](evercore::engine::TransactionalEngine::begin) alone. The pool stays
    /// the application's: closing the engine does not close it.
    pub fn pool(mut self, pool: PgPool) -> Self {
        self.target = Some(Source::Pool(pool));
        self
    }

    /// In this schema, `evercore` unless said otherwise: letters, digits and underscores. Several stores can
    /// live in one database under different schemas.
    pub fn schema(mut self, name: &str) -> Self {
        name.clone_into(&mut self.schema);
        self
    }

    /// How many connections the engine uses at most for reading and committing, 10 unless said otherwise. On top
    /// come one for the reader that waits until the log is settled, one that tells other processes of commits and
    /// one that listens for theirs, and those for transactions: they are those of the pool that was given, or of
    /// one with as many.
    pub fn pool_size(mut self, connections: NonZero<u32>) -> Self {
        self.limits.connections = connections.get();
        self
    }

    /// How long to wait for the server's answer, 30 seconds unless said otherwise. Reading fails with
    /// [`Timeout`](evercore::engine::EngineErrorKind::Timeout) then; a commit may still be made, so that its
    /// outcome is unknown. It is this process that waits no longer, not a setting of the session.
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.limits.statement = timeout;
        self
    }

    /// How long to wait for a connection, 10 seconds unless said otherwise.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connecting = timeout;
        self
    }

    /// What the connections are called in `pg_stat_activity`. Otherwise it is what the URL or the environment
    /// says, or `evercore`.
    pub fn application_name(mut self, name: &str) -> Self {
        self.application_name = Some(name.to_owned());
        self
    }

    /// Listens at this URL for commits of other processes, instead of where the engine's other connections go. For a
    /// store behind a pooler in transaction mode, which passes no notifications on: this is the URL of the server
    /// itself. When listening fails there is a warning (of `tracing`), and readers find those commits by looking.
    pub fn listen_url(mut self, url: &str) -> Self {
        self.listening = Listening::At(url.to_owned());
        self
    }

    /// Does not listen for commits of other processes, which readers find by looking then. Those who listen in other
    /// processes still hear of the commits of this one.
    pub fn without_listening(mut self) -> Self {
        self.listening = Listening::Nowhere;
        self
    }

    /// Leaves the schema alone, for roles that may not create tables, and for people who migrate in a step of
    /// their own: with [`PostgresEngine::migrate`] or with the text of [`PostgresEngine::migrations_sql`]. A
    /// schema of another version is refused.
    pub fn without_migration(mut self) -> Self {
        self.migration = Migration::Manual;
        self
    }

    /// Reads what can be seen and waits for nobody, so that events are lost: for tests that check that they would
    /// notice.
    #[cfg(feature = "fault-injection")]
    #[doc(hidden)]
    pub fn without_horizon(mut self) -> Self {
        self.without_horizon = true;
        self
    }

    /// Does not tell other processes of commits: for measuring what it costs.
    #[cfg(feature = "fault-injection")]
    #[doc(hidden)]
    pub fn without_telling(mut self) -> Self {
        self.without_telling = true;
        self
    }

    /// Opens the store.
    ///
    /// # Errors
    ///
    /// [`ConnectionLost`](evercore::engine::EngineErrorKind::ConnectionLost) or
    /// [`Timeout`](evercore::engine::EngineErrorKind::Timeout) when the server cannot be reached;
    /// [`Incompatible`](evercore::engine::EngineErrorKind::Incompatible) when there is no such database, its
    /// schema is not one that this version of the library knows, or the sequence of the log is behind the log;
    /// [`Unsupported`](evercore::engine::EngineErrorKind::Unsupported) when the server is too old or the database
    /// is not encoded in UTF-8; and when the server refuses the user, or the schema cannot be migrated.
    pub async fn connect(self) -> Result<PostgresEngine, EngineError> {
        PostgresEngine::open(self).await.map_err(|problem| problem.during("open the store"))
    }

    /// Where to connect to, and under which schema.
    pub(crate) fn resolve(&self) -> Result<(Target, Schema), Problem> {
        let target = match &self.target {
            Some(Source::Pool(pool)) => Target::Pool(pool.clone()),
            Some(Source::Url(url)) => Target::Options(Box::new(self.options(url)?)),
            None => return Err(Problem::Url),
        };
        Ok((target, Schema::new(&self.schema)?))
    }

    /// Where to be in contact with other processes.
    pub(crate) fn contacts(&self, target: &Target) -> Result<Contacts, Problem> {
        let hear = match &self.listening {
            Listening::Here => Some(target.clone()),
            Listening::At(url) => Some(Target::Options(Box::new(self.options(url)?))),
            Listening::Nowhere => None,
        };
        let tell = (!self.without_telling).then(|| target.clone());
        Ok(Contacts { tell, hear })
    }

    /// Nothing of the URL stands in the error: it may hold a password.
    fn options(&self, url: &str) -> Result<PgConnectOptions, Problem> {
        let known = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let options: PgConnectOptions = url.parse().ok().filter(|_| known).ok_or(Problem::Url)?;
        let name = self.application_name.as_deref().or(options.get_application_name());
        let name = name.unwrap_or(APPLICATION_NAME).to_owned();
        // Old poolers refuse a startup parameter that nothing here depends on.
        Ok(options.application_name(&name).extra_float_digits(None).disable_statement_logging())
    }
}

impl fmt::Debug for PostgresEngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresEngineBuilder")
            .field("schema", &self.schema)
            .field("limits", &self.limits)
            .field("migration", &self.migration)
            .finish_non_exhaustive()
    }
}
