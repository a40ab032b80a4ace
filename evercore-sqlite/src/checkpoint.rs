//! Emptying the write-ahead log.
//!
//! By itself SQLite copies the log into the file after every commit that finds it longer than a limit, waits for the
//! disk each time, and begins the log anew when nobody reads from it at that moment. While reads overlap
//! without a gap that moment does not come: every commit waits for the disk, and the log grows without end. So
//! the writer does it, more rarely, and waits a little for reads when the log has become long.

use std::{cell::Cell, time::Duration};

use rusqlite::Connection;

use crate::{error::Problem, statements};

/// The log is copied when it has grown by so many pages, and by a quarter: behind a reader that takes hours it is
/// tried ever more rarely.
const STEP: i32 = 1_000;
/// When it has so many pages, reads are waited for.
const LONG: i32 = 4 * STEP;
/// That long.
const PATIENCE: Duration = Duration::from_millis(50);

// A connection stays on its thread, and the hook is told of nothing but the length.
thread_local! {
    /// How many pages the log has.
    static PAGES: Cell<i32> = const { Cell::new(0) };
    /// How many it had when it was copied last.
    static COPIED: Cell<i32> = const { Cell::new(0) };
}

/// From now on [`when_due`] empties the log, SQLite does not.
pub(crate) fn by_hand(connection: &Connection) {
    connection.wal_hook(Some(|_, pages| {
        PAGES.set(pages);
        Ok(())
    }));
}

/// Empties the log when it is time. What goes wrong is tried again later: nothing is lost by that.
pub(crate) fn when_due(connection: &Connection) {
    let pages = PAGES.get();
    if pages < COPIED.get() {
        // It has begun anew.
        COPIED.set(0);
    }
    if pages - COPIED.get() < STEP.max(COPIED.get() / 4) {
        return;
    }
    COPIED.set(pages);
    let copied = match pages {
        ..LONG => run(connection, statements::CHECKPOINT),
        _ => patiently(connection),
    };
    if let Err(error) = copied {
        tracing::warn!(%error, pages, "cannot empty the write-ahead log");
    }
}

/// Waits for reads, though not as long as for locks elsewhere.
fn patiently(connection: &Connection) -> Result<(), Problem> {
    let usual: u32 = connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?;
    connection.busy_timeout(PATIENCE)?;
    let copied = run(connection, statements::CHECKPOINT_AND_RESTART);
    connection.busy_timeout(Duration::from_millis(usual.into()))?;
    copied
}

fn run(connection: &Connection, sql: &'static str) -> Result<(), Problem> {
    Ok(connection.prepare_cached(sql)?.query_row([], |_| Ok(()))?)
}
