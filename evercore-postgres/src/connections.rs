//! The engine's own connections.
//!
//! A pool of sqlx sends a message of its own whenever a connection comes back. These connections do not: what
//! is sent is what was asked for. A connection whose call was given up, or failed with anything but an answer
//! of the server, is closed, and so is one whose prepared statements are of no use.

use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::{
    answer::Answer,
    calls::{Calls, Reached},
    error::Problem,
    inspection::{self, ServerId},
    statements::{Query, Statements},
};

/// What connections are called in `pg_stat_activity`, unless said otherwise.
pub(crate) const APPLICATION_NAME: &str = "evercore";
/// A connection that was idle for longer is asked whether it still lives, before anything depends on it. One that broke
/// in a shorter time is found broken by what is sent on it, and then nobody knows whether that arrived: the driver does
/// not say what came in before, and that the server has ended the session (57P01) a pooler says in the middle of a commit, too.
const TRUSTED: Duration = Duration::from_secs(5);

/// So often a statement is run that the server could not put in an order with others. Each time another one was.
const TRIES: u32 = 50;

/// Where connections go to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// As the application said.
    Options(Box<PgConnectOptions>),
    /// To where the connections of this pool go.
    Pool(PgPool),
}

impl Target {
    /// The same, for connections of the doorbell, which can be told from others in `pg_stat_activity`.
    pub(crate) fn for_doorbell(&self) -> Self {
        self.named_after("doorbell")
    }

    /// The same, for the connection that publishes the horizon.
    pub(crate) fn for_horizon(&self) -> Self {
        self.named_after("horizon")
    }

    fn named_after(&self, purpose: &str) -> Self {
        let options = self.options();
        let name = format!("{} {purpose}", options.get_application_name().unwrap_or(APPLICATION_NAME));
        Self::Options(Box::new(options.application_name(&name)))
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        match self {
            Self::Options(options) => (**options).clone(),
            Self::Pool(pool) => (*pool.connect_options()).clone().disable_statement_logging(),
        }
    }
}

/// Where a server is, for people; nothing of it is secret.
fn place(options: &PgConnectOptions) -> String {
    let port = options.get_port();
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => options.get_host().to_owned(),
    };
    format!("{host}:{port}, database {database}, as {}", options.get_username())
}

/// How many connections, how long to wait, and how to send statements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections: u32,
    pub(crate) connecting: Duration,
    pub(crate) statement: Duration,
    pub(crate) calls: Calls,
}

/// The connections of an engine; they are made when they are needed.
pub(crate) struct Connections {
    target: Target,
    limits: Limits,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
    closed: AtomicBool,
    /// The store that the first connection found.
    store: OnceLock<String>,
    /// How many were made.
    made: AtomicU64,
    /// Whether the last of them leads to where the tables come by a subscription.
    is_subscribed: AtomicBool,
}

struct Idle {
    session: Session,
    since: Instant,
}

/// A connection that was inspected.
struct Session {
    connection: PgConnection,
    /// The server that answered then. A pooler may put another one behind the connection.
    server: ServerId,
}

impl Connections {
    pub(crate) fn new(target: Target, limits: Limits) -> Self {
        let permits = Semaphore::new(usize::try_from(limits.connections).unwrap_or(Semaphore::MAX_PERMITS));
        let (idle, closed, store) = (Mutex::default(), AtomicBool::new(false), OnceLock::new());
        let (made, is_subscribed) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { target, limits, permits, idle, closed, store, made, is_subscribed }
    }

    /// Connections to the store with this id, and to no other.
    pub(crate) fn to_store(store: &str, target: Target, limits: Limits) -> Self {
        Self { store: OnceLock::from(store.to_owned()), ..Self::new(target, limits) }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// A new connection, to whatever is there.
    pub(crate) async fn connect(&self) -> Result<PgConnection, Problem> {
        let options = self.target.options();
        let connected = match timeout(self.limits.connecting, options.connect()).await {
            Ok(connected) => connected.map_err(Problem::from),
            Err(_) => Err(Problem::NotReachedWithin(self.limits.connecting)),
        };
        connected.map_err(|problem| Problem::Connecting { at: place(&options), source: Box::new(problem) })
    }

    /// Keeps a new connection for later use, if its server is one that can be trusted, and says which store it is.
    pub(crate) async fn adopt(
        &self,
        connection: PgConnection,
        statements: &Statements,
    ) -> Result<&str, Problem> {
        let session = self.inspected(connection, statements).await?;
        self.put_back(session);
        self.store.get().map(String::as_str).ok_or(Problem::NoAnswer)
    }

    /// A new connection that was looked at: it may go to another server than those before, but not to another store.
    async fn inspected(
        &self,
        mut connection: PgConnection,
        statements: &Statements,
    ) -> Result<Session, Problem> {
        let Limits { statement: limit, calls, .. } = self.limits;
        let inspected = async {
            calls.begin(&mut connection, limit).await?;
            calls.fetch(&mut connection, statements.inspect(), &mut Reached::default()).await
        };
        let rows: Vec<PgRow> =
            timeout(limit, inspected).await.map_err(|_| Problem::NoAnswerWithin(limit))??;
        let (found, server) = inspection::inspect(&rows)?;
        if self.store.get_or_init(|| found.store.clone()) != &found.store {
            return Err(Problem::OtherStore);
        }
        self.is_subscribed.store(found.is_subscribed, Ordering::SeqCst);
        self.made.fetch_add(1, Ordering::SeqCst);
        Ok(Session { connection, server })
    }

    /// How many connections were made so far. As long as it stays the same, so does the server.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    /// A connection for one caller. On a new one the server is inspected first.
    pub(crate) async fn lease<'a>(&'a self, statements: &'a Statements) -> Result<Lease<'a>, Problem> {
        self.refuse_closed()?;
        let acquired = timeout(self.limits.connecting, self.permits.acquire()).await;
        let permit = acquired.map_err(|_| Problem::NoConnectionWithin(self.limits.connecting))?;
        self.lend(Some(permit.map_err(|_| Problem::Closed)?), statements).await
    }

    /// One beside those that are counted, for the one caller at a time who may hold it long: so that those
    /// who write, and perhaps are waited for, have all others.
    pub(crate) async fn lease_beside<'a>(&'a self, statements: &'a Statements) -> Result<Lease<'a>, Problem> {
        self.lend(None, statements).await
    }

    async fn lend<'a>(
        &'a self,
        permit: Option<SemaphorePermit<'a>>,
        statements: &'a Statements,
    ) -> Result<Lease<'a>, Problem> {
        self.refuse_closed()?;
        let session = match self.living().await {
            Some(session) => session,
            None => self.inspected(self.connect().await?, statements).await?,
        };
        Ok(Lease { session: Some(session), connections: self, statements, _permit: permit })
    }

    /// The connection that was used last, if it is of use.
    async fn living(&self) -> Option<Session> {
        let Idle { mut session, since } = self.idle().pop()?;
        if since.elapsed() < TRUSTED {
            return Some(session);
        }
        match timeout(self.limits.connecting, session.connection.ping()).await {
            Ok(Ok(())) => Some(session),
            _ => {
                self.idle().clear();
                None
            }
        }
    }

    fn put_back(&self, session: Session) {
        if !self.is_closed() {
            self.idle().push(Idle { session, since: Instant::now() });
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn refuse_closed(&self) -> Result<(), Problem> {
        match self.is_closed() {
            true => Err(Problem::Closed),
            false => Ok(()),
        }
    }

    /// Refuses to write where the tables come from elsewhere: what is written here is not there, and in the way of what
    /// comes.
    pub(crate) fn refuse_subscribed(&self) -> Result<(), Problem> {
        match self.is_subscribed.load(Ordering::SeqCst) {
            true => Err(Problem::Subscribed),
            false => Ok(()),
        }
    }

    /// Runs a statement on one of the connections.
    pub(crate) async fn fetch(
        &self,
        statements: &Statements,
        query: Query<'_>,
    ) -> Result<Vec<PgRow>, Problem> {
        self.lease(statements).await?.fetch(query).await
    }

    /// Runs a statement that writes on one of the connections.
    pub(crate) async fn write<'q>(
        &self,
        statements: &Statements,
        query: impl Fn() -> Query<'q>,
    ) -> Result<Vec<PgRow>, Problem> {
        let mut connection = self.lease(statements).await?;
        self.refuse_subscribed()?;
        connection.write(query).await
    }

    /// Lets what is under way finish; nothing else is taken on.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let all = self.permits.acquire_many(self.limits.connections).await;
        let idle = std::mem::take(&mut *self.idle());
        for Idle { session, .. } in idle {
            if let Ok(Err(error)) = timeout(self.limits.connecting, session.connection.close()).await {
                tracing::debug!(%error, "a connection did not close properly");
            }
        }
        drop(all);
        self.permits.close();
    }
}

/// A connection in use. It goes back when it is dropped between two calls.
pub(crate) struct Lease<'a> {
    session: Option<Session>,
    connections: &'a Connections,
    statements: &'a Statements,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Lease<'_> {
    /// Runs a statement.
    pub(crate) async fn fetch(&mut self, query: Query<'_>) -> Result<Vec<PgRow>, Problem> {
        self.read(query).await
    }

    /// Runs a statement, and makes something of its rows while they arrive.
    pub(crate) async fn read<A: Answer>(&mut self, query: Query<'_>) -> Result<A, Problem> {
        self.attempt(query, &mut Reached::default()).await
    }

    async fn attempt<A: Answer>(&mut self, query: Query<'_>, reached: &mut Reached) -> Result<A, Problem> {
        let limit = self.connections.limits.statement;
        let answered = timeout(limit, self.call(query, reached)).await;
        match answered.unwrap_or(Err(Problem::NoAnswerWithin(limit))) {
            Err(problem) if *reached != Reached::Commit => Err(problem.before_commit()),
            answered => answered,
        }
    }

    /// While this is under way the lease has no session: one whose call is given up is closed.
    async fn call<A: Answer>(&mut self, query: Query<'_>, reached: &mut Reached) -> Result<A, Problem> {
        let mut session = self.session.take().ok_or(Problem::Closed)?;
        let Limits { statement: limit, calls, .. } = self.connections.limits;
        let answered = match calls.begin(&mut session.connection, limit).await {
            Ok(()) => calls.fetch(&mut session.connection, query, reached).await,
            Err(problem) => Err(problem),
        };
        let answered = answered.and_then(|answer| session.server.answered(&answer).map(|()| answer));
        match &answered {
            Err(problem) if problem.is_of_connection() => self.connections.idle().clear(),
            Err(problem) if problem.is_of_statement() => {}
            _ => self.session = Some(session),
        }
        answered
    }

    async fn replacement(&self) -> Result<Session, Problem> {
        let new = self.connections.connect().await?;
        let session = self.connections.inspected(new, self.statements).await?;
        self.connections.refuse_subscribed()?;
        Ok(session)
    }

    /// Runs a statement that writes. A role may have its transactions see a single moment: then the statement
    /// is refused when somebody else was faster, and is run again in a later moment, in which that can be seen.
    ///
    /// Where a transaction has to begin first, a connection that is found broken by that is replaced, once. That is not
    /// for readers: what they know of the log ends with a connection.
    pub(crate) async fn write<'q>(&mut self, query: impl Fn() -> Query<'q>) -> Result<Vec<PgRow>, Problem> {
        let (mut tries, mut is_new) = (1, false);
        loop {
            let mut reached = Reached::default();
            match self.attempt(query(), &mut reached).await {
                Err(problem) if problem.is_serialization_failure() && tries < TRIES => tries += 1,
                Err(problem) if reached == Reached::Beginning && problem.is_lost_connection() && !is_new => {
                    is_new = true;
                    // Nothing was sent, and nothing is as long as this fails.
                    self.session = Some(self.replacement().await.map_err(Problem::before_commit)?);
                }
                answered => return answered,
            }
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.connections.put_back(session);
        }
    }
}
