//! Hearing of what other engines committed.

use std::time::Duration;

use evercore::engine::Doorbell;
use sqlx::{
    Acquire as _, Connection as _, PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{Channel, FAREWELL};
use crate::{
    connections::{Limits, Target},
    error::Problem,
};

/// How long to wait after the first attempt that failed; twice as long after each further one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// How long to wait at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After so much silence the server is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(30);

/// What it takes to hear others.
pub(super) struct Hearer {
    pub(super) target: Target,
    pub(super) limits: Limits,
    pub(super) channel: Channel,
    pub(super) doorbell: Doorbell,
}

impl Hearer {
    /// Rings with each notification, until the channel `open` ends.
    pub(super) async fn hear(self, mut open: watch::Receiver<()>) {
        let mut patience = Patience::new();
        loop {
            // Not one pool for all attempts: a connection that broke may block its pool for long.
            let pool = self.pool();
            let outcome = tokio::select! {
                () = end_of(&mut open) => None,
                outcome = self.listen(&pool, &mut patience) => Some(outcome),
            };
            if timeout(FAREWELL, pool.close()).await.is_err() {
                tracing::debug!("the connection that listened did not close properly");
            }
            let Some(outcome) = outcome else { return };
            if let Err(problem) = outcome {
                patience.complain(&problem);
            }
            tokio::select! {
                () = end_of(&mut open) => return,
                () = sleep(patience.pause()) => {}
            }
        }
    }

    /// Rings as long as the connection lasts.
    async fn listen(&self, pool: &PgPool, patience: &mut Patience) -> Result<(), Problem> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.eager_reconnect(false);
        self.answer(listener.listen(self.channel.name())).await?;
        *patience = Patience::new();
        // Nobody tells what was committed before.
        self.doorbell.ring();
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(received) => match received? {
                    Some(_) => self.doorbell.ring(),
                    None => return Ok(()),
                },
                Err(_) => self.answer(async { listener.acquire().await?.ping().await }).await?,
            }
        }
    }

    async fn answer(&self, call: impl Future<Output = Result<(), sqlx::Error>>) -> Result<(), Problem> {
        let limit = self.limits.statement;
        let answered = timeout(limit, call).await.map_err(|_| Problem::NoAnswerWithin(limit))?;
        Ok(answered?)
    }

    fn pool(&self) -> PgPool {
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(self.limits.connecting);
        pool.test_before_acquire(false).connect_lazy_with(self.target.options())
    }
}

/// How long to wait before the next attempt, and whether somebody was told that they fail.
struct Patience {
    pause: Duration,
    has_complained: bool,
}

impl Patience {
    fn new() -> Self {
        Self { pause: SHORTEST_PAUSE, has_complained: false }
    }

    fn complain(&mut self, problem: &Problem) {
        if !self.has_complained {
            tracing::warn!(%problem, "commits of other processes are found by looking, as listening failed");
        }
        self.has_complained = true;
    }

    fn pause(&mut self) -> Duration {
        let longer = (self.pause * 2).min(LONGEST_PAUSE);
        std::mem::replace(&mut self.pause, longer)
    }
}

/// Waits until nobody sends any more.
async fn end_of(open: &mut watch::Receiver<()>) {
    while open.changed().await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_PAUSE, Patience, SHORTEST_PAUSE};

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let mut patience = Patience::new();
        assert_eq!([patience.pause(), patience.pause()], [SHORTEST_PAUSE, SHORTEST_PAUSE * 2]);
        assert_eq!((0..20).map(|_| patience.pause()).last(), Some(LONGEST_PAUSE));
    }
}
