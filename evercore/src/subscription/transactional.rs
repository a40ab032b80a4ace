//! Handling batches in a transaction that also moves the cursor.

use std::marker::PhantomData;

use futures_util::future::Either;

use super::{
    Batch, HandlerError,
    closures::caught,
    delivery::{Cursor, Deliver, Failure},
    owner::{Owned, Step},
    progress::Progress,
};
use crate::{
    Error, EventStore,
    engine::{OwnerError, TransactionalEngine},
    waiting,
};

/// A closure that works in a transaction of the engine `E`.
pub(super) struct InTransaction<E, F> {
    pub(super) store: EventStore,
    pub(super) handler: F,
    pub(super) engine: PhantomData<fn() -> E>,
}

impl<T, E, F, Fut> Deliver<T> for InTransaction<E, F>
where
    E: TransactionalEngine,
    F: FnMut(Batch<T>, E::Transaction) -> Fut,
    Fut: Future<Output = Result<E::Transaction, HandlerError>>,
{
    async fn deliver(
        &mut self,
        batch: Batch<T>,
        step: &Step,
        progress: &mut Progress,
    ) -> Result<Cursor, Failure> {
        let engine = self.store.engine_of::<E>().map_err(Failure::Store)?;
        let Progress::Durable(owned) = progress else { return Ok(Cursor::Stays) };
        if E::BLOCKS_WRITERS {
            self.store.stock_ids().await.map_err(Failure::Store)?;
        }
        let transaction = engine.begin().await.map_err(|error| Failure::Store(error.into()))?;
        let handled = caught(async { (self.handler)(batch, transaction).await });
        let handled = match E::BLOCKS_WRITERS {
            true => Either::Left(waiting::holding_the_writer(&self.store, handled)),
            false => Either::Right(handled),
        };
        match handled.await {
            Ok(transaction) => finish(engine, transaction, step, owned).await,
            Err(failure) => not_handled(failure, owned).await,
        }
    }
}

/// Has a transaction failed, unless the cursor is elsewhere: it was committed all the same, or an earlier one with these
/// events, whose commit was in doubt, or the store has lost some with what they wrote. When the store cannot be
/// reached, nobody else is to blame.
async fn not_handled(failure: Failure, owned: &mut Owned) -> Result<Cursor, Failure> {
    let before = owned.cursor();
    match owned.look_up_cursor().await.map_err(Failure::Store)? {
        cursor if cursor == before => Err(failure),
        _ => Ok(Cursor::Moved),
    }
}

async fn finish<E: TransactionalEngine>(
    engine: &E,
    mut transaction: E::Transaction,
    step: &Step,
    owned: &mut Owned,
) -> Result<Cursor, Failure> {
    match engine.checkpoint_in(&owned.checkpoint(step), &mut transaction).await {
        Ok(()) => {}
        // What the handler wrote is where the cursor is, in one database: it goes on from there.
        Err(OwnerError::Moved(cursor)) => {
            owned.moved_to(cursor);
            return Ok(Cursor::Moved);
        }
        Err(error) => return Err(blame(owned.failed("checkpoint", error))),
    }
    match engine.finish(transaction).await {
        Ok(()) => {
            owned.moved_to(step.to);
            Ok(Cursor::Moved)
        }
        Err(error) => not_handled(blame(error.into()), owned).await,
    }
}

/// A transaction can fail because of what the handler did in it, unless it is clear that something else was wrong.
fn blame(error: Error) -> Failure {
    match error.is_temporary() || matches!(error, Error::Fenced { .. }) {
        true => Failure::Store(error),
        false => Failure::Handler(error.into()),
    }
}
