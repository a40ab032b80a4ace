//! How far the log is settled: no event that becomes visible later has a position up to there.
//!
//! Positions are drawn before commits, so an event can become visible after one with a higher position. A
//! transaction that appends holds a lock on the table of events from before it draws a position until its
//! events can be seen. So where no position is missing all is settled, and where one is missing it is enough
//! to wait for those who hold that lock. What is missing then was rolled back.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use evercore::Position;
use sqlx::Row as _;
use tokio::time::{Instant, sleep};

use crate::{
    connections::{Connections, Lease},
    error::Problem,
    row,
    statements::Statements,
};

/// How long to wait at first before looking again; doubled each time, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// After so long people are told who holds up the readers.
const STALL: Duration = Duration::from_secs(1);

/// What an engine knows of the settled part of the log.
#[derive(Debug, Default)]
pub(crate) struct Horizon {
    known: Mutex<Known>,
    settling: tokio::sync::Mutex<()>,
    /// Whether all that can be seen counts as settled, which loses events: only for tests that have to see that.
    is_off: bool,
}

/// Up to here everything is settled, on the server that the connections made so far go to. The next one may go to
/// another server, one that has lost events and draws their positions again: then nothing is known any more.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) position: Position,
    connections: u64,
    /// The furthest position that was ever settled.
    highest: Position,
}

impl Horizon {
    /// One that waits for nobody.
    pub(crate) fn off() -> Self {
        Self { is_off: true, ..Self::default() }
    }

    /// What is known; to be asked when there is a connection already. It holds for statements that are sent on
    /// that one after this call.
    pub(crate) fn known(&self, connections: &Connections) -> Known {
        let mut known = self.lock();
        let made = connections.made();
        if known.connections != made {
            *known = Known { position: Position::START, connections: made, ..*known };
        }
        *known
    }

    /// Says that everything up to `position` is settled, as was found with what was known `then`.
    pub(crate) fn raise(&self, then: Known, position: Position) {
        let mut known = self.lock();
        known.highest = known.highest.max(position);
        if known.connections == then.connections {
            known.position = known.position.max(position);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles everything that could be seen when this was called, and says how far that is.
    ///
    /// Each step is a statement of its own, on one connection, outside of any transaction: a role may have
    /// its transactions see a single moment. An error on the way gives up what was found so far.
    pub(crate) async fn settle(
        &self,
        connections: &Connections,
        statements: &Statements,
    ) -> Result<Position, Problem> {
        // One waits for all.
        let _one_at_a_time = self.settling.lock().await;
        let mut connection = connections.lease_beside(statements).await?;
        let known = self.known(connections);
        let head = match head(&mut connection, statements, known).await? {
            Head::Settled(head) => head,
            Head::AfterGap(head) if self.is_off => head,
            Head::AfterGap(head) => {
                // The locks are looked up after the head was seen, and before anything is read again.
                let appending = appending(&mut connection, statements).await?;
                outlast(connection, connections, statements, appending).await?;
                head
            }
        };
        self.raise(known, head);
        Ok(head)
    }
}

async fn head(connection: &mut Lease<'_>, statements: &Statements, known: Known) -> Result<Head, Problem> {
    let rows = connection.fetch(statements.head(known.position)).await?;
    let row = row::refuse_standby(&rows)?;
    let (head, later): (i64, i64) = (row.try_get("head")?, row.try_get("later")?);
    if head < known.highest.get() {
        return Err(Problem::Rewound { head, known: known.highest.get() });
    }
    Ok(match head - known.position.get() == later {
        true => Head::Settled(Position::new(head)),
        false => Head::AfterGap(Position::new(head)),
    })
}

/// The last event, and whether events before it may be missing.
enum Head {
    Settled(Position),
    AfterGap(Position),
}

/// Waits until these transactions have ended. Those that begin to append meanwhile draw higher positions.
async fn outlast(
    mut connection: Lease<'_>,
    connections: &Connections,
    statements: &Statements,
    mut transactions: HashSet<String>,
) -> Result<(), Problem> {
    let (begun, mut pause, mut told) = (Instant::now(), SHORTEST_PAUSE, false);
    while !transactions.is_empty() {
        if connections.is_closed() {
            return Err(Problem::Closed);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        let now = appending(&mut connection, statements).await?;
        transactions.retain(|transaction| now.contains(transaction));
        if !told && begun.elapsed() >= STALL && !transactions.is_empty() {
            told = true;
            let transactions: Vec<_> = transactions.iter().cloned().collect();
            let rows = connection.fetch(statements.sessions(&transactions)).await?;
            let sessions: Option<String> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
            let sessions = sessions.unwrap_or_default();
            tracing::warn!(sessions, "readers of the log wait for transactions that have appended to it");
        }
    }
    Ok(())
}

/// The transactions that have begun to append and have not ended.
async fn appending(connection: &mut Lease<'_>, statements: &Statements) -> Result<HashSet<String>, Problem> {
    let rows = connection.fetch(statements.appending()).await?;
    row::refuse_standby(&rows)?;
    let transactions: Result<HashSet<Option<String>>, _> = rows.iter().map(|row| row.try_get(1)).collect();
    Ok(transactions?.into_iter().flatten().collect())
}
