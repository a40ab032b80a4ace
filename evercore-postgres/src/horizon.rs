//! How far the log is settled: no event that becomes visible later has a position up to there.
//!
//! Positions are drawn before commits, so an event can become visible after one with a higher position. A
//! transaction that appends holds a lock on the table of events from before it draws a position until its
//! events can be seen. So where no position is missing all is settled, and where one is missing it is enough
//! to wait for those who hold that lock. What is missing then was rolled back.
//!
//! All of this is so where the log is written. Of a copy, [`copy`](crate::copy) says how far it can be read.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use evercore::Position;
use sqlx::{Row as _, postgres::PgRow};
use tokio::time::{Instant, sleep};

use crate::{
    answer::Answer,
    connections::{Connections, Lease},
    error::Problem,
    mark::Mark,
    row::{self, Limit},
    statements::{Query, Statements},
};

/// How long to wait at first before looking again; doubled each time, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// After so long people are told who holds up the readers.
const STALL: Duration = Duration::from_secs(1);

/// So often settling begins again when the log turns out to be a copy on the way, before it is given up.
const TRIES: u32 = 10;

/// What an engine knows of the log.
#[derive(Debug, Default)]
pub(crate) struct Horizon {
    state: Mutex<State>,
    settling: tokio::sync::Mutex<()>,
    /// Whether all that can be seen counts as settled, which loses events: only for tests that have to see that.
    is_off: bool,
}

#[derive(Debug)]
struct State {
    known: Known,
    /// An event that was read and is not there any more, and what is there.
    lost: Option<(Mark, Option<Mark>)>,
}

/// Each statement that reads the log is sent with what is known at that time, and the server says whether it still
/// holds there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Up to here everything is settled, on the server that the connections made so far go to. The next one may go to
    /// another server, and nothing is known any more: a transaction that has ended here may be open there.
    pub(crate) settled: Mark,
    /// The furthest event that was ever handed out or settled.
    pub(crate) last: Mark,
    /// Whether the log was a copy when it was last looked at.
    pub(crate) is_copy: bool,
    connections: u64,
}

impl Default for State {
    fn default() -> Self {
        let known = Known { settled: Mark::START, last: Mark::START, is_copy: false, connections: 0 };
        Self { known, lost: None }
    }
}

/// How far the log goes that is settled as far as it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Head {
    /// To this event.
    Settled(Mark),
    /// It is a copy, which may be read up to `limit`, and goes to `seen`.
    Copied { limit: Position, seen: Position },
}

impl Horizon {
    /// One that waits for nobody.
    pub(crate) fn off() -> Self {
        Self { is_off: true, ..Self::default() }
    }

    /// What is known; to be asked when there is a connection already. It holds for statements that are sent on
    /// that one after this call.
    pub(crate) fn known(&self, connections: &Connections) -> Result<Known, Problem> {
        let mut state = self.lock();
        if let Some((expected, found)) = state.lost {
            return Err(Problem::Rewound { expected, found });
        }
        let made = connections.made();
        if state.known.connections != made {
            state.known.connections = made;
            state.known.settled = Mark::START;
        }
        Ok(state.known)
    }

    /// Says that everything up to this event is settled, as was found with what was known `then`.
    pub(crate) fn raise(&self, then: Known, settled: Mark) {
        let known = &mut self.lock().known;
        known.last = known.last.max(settled);
        if known.connections == then.connections {
            known.settled = known.settled.max(settled);
        }
    }

    /// Says that this event was handed out.
    pub(crate) fn hand_out(&self, last: Mark) {
        let known = &mut self.lock().known;
        known.last = known.last.max(last);
    }

    /// Forgets everything, as if the engine had been opened anew.
    pub(crate) fn forget(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a statement that was made with what is `known`. When the last event that was read is not there any more,
    /// nothing of the answer counts, and nothing is read from then on.
    pub(crate) async fn ask<A: Answer>(
        &self,
        connection: &mut Lease<'_>,
        statements: &Statements,
        query: Query<'_>,
        known: Known,
    ) -> Result<(Limit, A), Problem> {
        let answer: A = connection.read(query).await?;
        if let Some(limit) = row::limit(&answer)? {
            self.lock().known.is_copy = matches!(limit, Limit::Published(_));
            return Ok((limit, answer));
        }
        let there = connection.fetch(statements.event_at(known.last.position)).await?;
        let found = there.first().map(|row| row::mark(row, known.last.position)).transpose()?;
        if found == Some(known.last) {
            return Err(Problem::ManyServers);
        }
        self.lock().lost = Some((known.last, found));
        Err(Problem::Rewound { expected: known.last, found })
    }

    /// Settles everything that could be seen when this was called, and says how far that is.
    ///
    /// Each step is a statement of its own, on one connection, outside of any transaction: a role may have
    /// its transactions see a single moment. An error on the way gives up what was found so far, and so does an
    /// answer of a server whose log is a copy: it does not know who is appending.
    pub(crate) async fn settle(
        &self,
        connections: &Connections,
        statements: &Statements,
    ) -> Result<Head, Problem> {
        // One waits for all.
        let _one_at_a_time = self.settling.lock().await;
        for _ in 0..TRIES {
            if let Some(head) = self.try_to_settle(connections, statements).await? {
                return Ok(head);
            }
        }
        Err(Problem::ManyServers)
    }

    async fn try_to_settle(
        &self,
        connections: &Connections,
        statements: &Statements,
    ) -> Result<Option<Head>, Problem> {
        let mut connection = connections.lease_beside(statements).await?;
        let known = self.known(connections)?;
        let (limit, rows): (_, Vec<PgRow>) = self
            .ask(&mut connection, statements, statements.head(known.settled.position, known.last), known)
            .await?;
        let row = rows.first().ok_or(Problem::NoAnswer)?;
        let (head, later): (Mark, i64) = (row::head(row)?, row.try_get("later")?);
        if let Limit::Published(limit) = limit {
            return Ok(Some(Head::Copied { limit, seen: head.position }));
        }
        let has_gap = head.position.get() - known.settled.position.get() != later;
        // The locks are looked up after the head was seen, and before anything is read again.
        if has_gap && !self.is_off && outlast(connection, connections, statements).await?.is_none() {
            return Ok(None);
        }
        self.raise(known, head);
        Ok(Some(Head::Settled(head)))
    }
}

/// Waits until the transactions have ended that are appending now. Those that begin to append meanwhile draw higher
/// positions. `None` when a copy of the log was asked about them.
async fn outlast(
    mut connection: Lease<'_>,
    connections: &Connections,
    statements: &Statements,
) -> Result<Option<()>, Problem> {
    let Some(mut transactions) = appending(&mut connection, statements).await? else { return Ok(None) };
    let (begun, mut pause, mut told) = (Instant::now(), Pause::new(), false);
    while !transactions.is_empty() {
        if connections.is_closed() {
            return Err(Problem::Closed);
        }
        pause.wait().await;
        let Some(now) = appending(&mut connection, statements).await? else { return Ok(None) };
        // A prepared transaction goes by another number, -1/…, when the server has recovered from a crash, which a
        // pooler can hide, and of which the time of the server's start says nothing.
        let is_recovered = |transaction: &str| transaction.starts_with("-1/");
        transactions =
            now.into_iter().filter(|one| transactions.contains(one) || is_recovered(one)).collect();
        if !told && begun.elapsed() >= STALL && !transactions.is_empty() {
            told = true;
            let transactions: Vec<_> = transactions.iter().cloned().collect();
            let rows = connection.fetch(statements.sessions(&transactions)).await?;
            let sessions: Option<String> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
            let sessions = sessions.unwrap_or_default();
            tracing::warn!(sessions, "readers of the log wait for transactions that have appended to it");
        }
    }
    Ok(Some(()))
}

/// The transactions that have begun to append and have not ended; `None` where the log is a copy.
async fn appending(
    connection: &mut Lease<'_>,
    statements: &Statements,
) -> Result<Option<HashSet<String>>, Problem> {
    let rows = connection.fetch(statements.appending()).await?;
    if let Some(Limit::Published(_)) = row::limit(&rows)? {
        return Ok(None);
    }
    let transactions: Result<HashSet<Option<String>>, _> = rows.iter().map(|row| row.try_get(1)).collect();
    Ok(Some(transactions?.into_iter().flatten().collect()))
}

/// How long to wait before looking again.
pub(crate) struct Pause(Duration);

impl Pause {
    pub(crate) fn new() -> Self {
        Self(SHORTEST_PAUSE)
    }

    pub(crate) async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}
