//! Reading a copy of the log: a standby, or a database that has subscribed to the tables.
//!
//! Who is appending is known where the log is written alone. So readers there write down how far they have found it
//! settled, in the one row of the table `horizon`, and readers of a copy go as far as the row says that came with it.
//!
//! That loses nothing. Whoever writes the row has seen the events up to there, so their transactions were committed
//! before, and what is missing was rolled back. Copies get transactions in the order in which they were committed. So
//! a statement that sees the row sees all events up to there too, if it takes both from one moment: each page is
//! cut off by the statement that reads it. Two statements could be answered by two copies, of which the second has not
//! come as far as the first.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use evercore::Position;
use tokio::time::Instant;

use crate::{
    connections::Connections,
    error::Problem,
    horizon::{Head, Horizon, Pause},
    publishing::Publisher,
    statements::Statements,
};

/// Waiting for the row to move.
#[derive(Debug, Default)]
pub(crate) struct CopiedHorizon {
    /// Where the row stands that others wait for, and since when.
    stall: Mutex<Option<(Position, Instant)>>,
    waiting: tokio::sync::Mutex<()>,
}

impl CopiedHorizon {
    /// Waits until the copy may be read as far as it went when this was called, and says how far that is. With a
    /// primary at hand it is as far as that went. `None` when the log is no copy any more.
    pub(crate) async fn catch_up(
        &self,
        horizon: &Horizon,
        connections: &Connections,
        statements: &Statements,
        primary: Option<&Publisher>,
    ) -> Result<Option<Position>, Problem> {
        let _one_at_a_time = self.waiting.lock().await;
        let mut wanted = match primary {
            Some(primary) => primary.publish().await?,
            None => Position::START,
        };
        let (mut pause, mut is_first) = (Pause::new(), true);
        loop {
            let Head::Copied { limit, seen } = horizon.settle(connections, statements).await? else {
                return Ok(None);
            };
            if is_first {
                wanted = wanted.max(seen);
                is_first = false;
            }
            if limit >= wanted {
                self.forget_stall();
                return Ok(Some(limit));
            }
            let longest = connections.limits().statement;
            if self.has_stalled_for(limit) >= longest {
                return Err(Problem::NoHorizon { limit, wanted, within: longest });
            }
            pause.wait().await;
        }
    }

    /// How long the row has been there, as far as anybody waited for it to move: those who wait one after the other
    /// do not each wait from the beginning.
    fn has_stalled_for(&self, limit: Position) -> Duration {
        let mut stall = self.stall.lock().unwrap_or_else(PoisonError::into_inner);
        match *stall {
            Some((position, since)) if position == limit => since.elapsed(),
            _ => {
                *stall = Some((limit, Instant::now()));
                Duration::ZERO
            }
        }
    }

    fn forget_stall(&self) {
        *self.stall.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
