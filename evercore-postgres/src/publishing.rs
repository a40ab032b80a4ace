//! Telling readers of copies how far the log is settled; [`copy`](crate::copy) says why.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use evercore::{Position, engine::EngineErrorKind};
use tokio::{sync::watch, time::timeout};

use crate::{
    connections::{Connections, Limits, Target},
    doorbell::task::Task,
    error::Problem,
    horizon::{Head, Horizon},
    mark::Mark,
    statements::Statements,
};

/// The row is written at most once in this time.
const PAUSE: Duration = Duration::from_millis(10);
/// How long the row is left alone after that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How long it is left to others by a role that may not write it.
const PAUSE_WITHOUT_RIGHTS: Duration = Duration::from_secs(60);

/// The publisher of an engine.
pub(crate) struct Publishing {
    publisher: Arc<Publisher>,
    /// Whether it was said where the log is written.
    is_told: bool,
    task: Task,
}

impl Publishing {
    /// For the store with this id, which is written at `primary`, or where the engine's connections go to.
    pub(crate) fn new(
        store: &str,
        own: &Target,
        primary: Option<&Target>,
        limits: Limits,
        statements: &Statements,
    ) -> Self {
        let target = primary.unwrap_or(own).for_horizon();
        let connections = Connections::to_store(store, target, Limits { connections: 1, ..limits });
        let publisher = Publisher {
            connections,
            statements: statements.clone(),
            horizon: Horizon::default(),
            pending: Mutex::default(),
            published: Mutex::default(),
        };
        Self { publisher: Arc::new(publisher), is_told: primary.is_some(), task: Task::default() }
    }

    /// To be called when events were read where the log is written, with the event up to which it was found to be
    /// settled; without one the publisher settles it. Soon after, readers of copies get them too. Nobody waits for
    /// that.
    pub(crate) fn signal(&self, settled: Option<Mark>) {
        lock(&self.publisher.pending).add(settled);
        self.task.signal(|signals| {
            let publisher = Arc::clone(&self.publisher);
            async move { publisher.publish_after(signals).await }
        });
    }

    /// Where the log is written, if that was said.
    pub(crate) fn primary(&self) -> Option<&Publisher> {
        self.is_told.then_some(&*self.publisher)
    }

    pub(crate) async fn close(&self) {
        self.task.close().await;
        self.publisher.connections.close().await;
    }
}

/// What waits to be published.
#[derive(Debug, Default, Clone, Copy)]
enum Pending {
    #[default]
    Nothing,
    /// How far the log is settled is still to be found out.
    ToSettle,
    /// Readers have found it to be settled up to here.
    Found(Mark),
}

impl Pending {
    /// What is further on, or still to be found out, is not forgotten for what came later.
    fn add(&mut self, settled: Option<Mark>) {
        *self = match (*self, settled) {
            (Self::Nothing, Some(mark)) => Self::Found(mark),
            (Self::Found(before), Some(mark)) => Self::Found(before.max(mark)),
            (Self::ToSettle, _) | (_, None) => Self::ToSettle,
        };
    }
}

/// Settles the log where it is written, and writes down how far that is.
pub(crate) struct Publisher {
    connections: Connections,
    statements: Statements,
    horizon: Horizon,
    /// What waits to be written down.
    pending: Mutex<Pending>,
    /// What was written down last, and how many connections there had been.
    published: Mutex<Option<(Mark, u64)>>,
}

impl Publisher {
    /// Settles and publishes everything that could be seen when this was called, and says how far that is.
    pub(crate) async fn publish(&self) -> Result<Position, Problem> {
        let settled = match self.horizon.settle(&self.connections, &self.statements).await {
            // Events were lost that were settled here, and read by nobody here.
            Err(Problem::Rewound { .. }) => {
                self.horizon.forget();
                self.horizon.settle(&self.connections, &self.statements).await?
            }
            settled => settled?,
        };
        let Head::Settled(head) = settled else { return Err(Problem::NotPrimary) };
        self.write(head).await?;
        Ok(head.position)
    }

    /// Nothing is written when another server has another event there.
    async fn write(&self, settled: Mark) -> Result<(), Problem> {
        let is_published = *lock(&self.published) == Some((settled, self.connections.made()));
        if settled != Mark::START && !is_published {
            self.connections.write(&self.statements, || self.statements.publish(settled)).await?;
            *lock(&self.published) = Some((settled, self.connections.made()));
        }
        Ok(())
    }

    async fn publish_found(&self) -> Result<(), Problem> {
        let pending = std::mem::take(&mut *lock(&self.pending));
        match pending {
            Pending::Found(settled) => self.write(settled).await,
            Pending::Nothing | Pending::ToSettle => self.publish().await.map(drop),
        }
    }

    /// Publishes after each signal, until the channel ends. What failed is tried again without one.
    async fn publish_after(&self, mut signals: watch::Receiver<()>) {
        let mut has_failed = false;
        while has_failed || signals.changed().await.is_ok() {
            let published = self.publish_found().await;
            has_failed = published.is_err();
            let pause = published.map_or_else(|problem| pause_after(&problem), |()| PAUSE);
            let mut ending = signals.clone();
            let ended = async { while ending.changed().await.is_ok() {} };
            if timeout(pause, ended).await.is_ok() && has_failed {
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pause_after(problem: &Problem) -> Duration {
    tracing::debug!(%problem, "readers of copies are not told how far the log is settled");
    match problem.kind() {
        EngineErrorKind::ReadOnly => PAUSE_WITHOUT_RIGHTS,
        _ => PAUSE_AFTER_FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::{Mark, Pending};

    #[test]
    fn what_waits_is_not_forgotten_for_what_is_further_back() {
        let mut pending = Pending::default();
        pending.add(Some(mark(10)));
        pending.add(Some(mark(3)));
        assert!(matches!(pending, Pending::Found(found) if found == mark(10)), "{pending:?}");
        pending.add(None);
        pending.add(Some(mark(20)));
        assert!(matches!(pending, Pending::ToSettle), "{pending:?}");
    }

    fn mark(position: i64) -> Mark {
        Mark { position: evercore::Position::new(position), ..Mark::START }
    }
}
