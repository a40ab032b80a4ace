//! Moving the cursor of a subscription, on either driver.

use evercore::engine::{Checkpoint, Fenced, FencingToken, Timestamp};
use sqlx::SqliteConnection;

use crate::{
    driver::{self, Connection},
    engine::SqliteEngine,
    error::OwnerProblem,
    row::Ownership,
    savepoint, statements,
};

/// What errors say of it.
pub(crate) const MOVE: &str = "move the cursor of a subscription";

/// Moves it inside a transaction of the application, if that is one of the engine's database.
pub(crate) async fn move_in(
    connection: &mut SqliteConnection,
    engine: &SqliteEngine,
    checkpoint: &Checkpoint,
) -> Result<(), OwnerProblem> {
    savepoint::begin(connection, engine).await?;
    let moved = write(connection, checkpoint).await;
    savepoint::end(connection, moved).await
}

/// Moves it in a transaction of its own, on one of the engine's connections.
pub(crate) fn checkpoint(
    connection: &mut rusqlite::Connection,
    checkpoint: &Checkpoint,
) -> Result<(), OwnerProblem> {
    driver::in_transaction(connection, statements::BEGIN, |connection| {
        driver::now(write(connection, checkpoint))
    })
}

/// Moves it, and records what was skipped, in a transaction that is under way.
async fn write(connection: &mut impl Connection, checkpoint: &Checkpoint) -> Result<(), OwnerProblem> {
    let now = Timestamp::now();
    if !statements::move_cursor(connection, checkpoint, now).await? {
        let found = statements::ownership(connection, &checkpoint.name).await?;
        return Err(match fenced(found.as_ref(), checkpoint.token) {
            Ok(owned) => OwnerProblem::Moved(owned.cursor),
            Err(fenced) => OwnerProblem::Fenced(fenced),
        });
    }
    for failed in &checkpoint.failed {
        statements::record_failed_delivery(connection, &checkpoint.name, failed, now).await?;
    }
    Ok(())
}

/// The subscription, if the token is that of its owner; else what became of it.
pub(crate) fn fenced(found: Option<&Ownership>, token: FencingToken) -> Result<&Ownership, Fenced> {
    let found = found.ok_or(Fenced::Deleted)?;
    match &found.owner {
        Some(_) if found.token == token => Ok(found),
        Some(owner) => Err(Fenced::TakenOver { owner: owner.clone() }),
        None if found.paused => Err(Fenced::Paused),
        None => Err(Fenced::Changed),
    }
}
