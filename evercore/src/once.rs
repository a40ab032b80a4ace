//! Units of work that happen once, however often they are run.

use crate::{Committed, Context, Error, Result, Unit};

/// Describes a unit of work that happens once. Made by [`Unit::once`].
///
/// ```
/// # use evercore::{Aggregate, Committed, EventStore, state_event};
/// # use evercore_memory::MemoryEngine;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(events(OrderPlaced))]
/// # struct Order { item: String }
/// # #[state_event(Order)]
/// # struct OrderPlaced { item: String }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> evercore::Result<()> {
/// # let store = EventStore::open::<Order>(MemoryEngine::new()).await?;
/// for attempt in 1..=2 {
///     let committed = store
///         .unit()
///         .once("order-4711")
///         .run(async |ctx| {
///             let mut order = ctx.create_with_key::<Order>("4711").await?;
///             ctx.apply(&mut order, OrderPlaced { item: "book".into() })
///         })
///         .await?;
///     assert_eq!(committed.is_repeat(), attempt == 2);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct OnceUnit {
    pub(crate) unit: Unit,
    pub(crate) key: String,
}

impl OnceUnit {
    /// Runs the closure and commits, as [`Unit::run`] does, unless a commit with the key was made before.
    ///
    /// The closure runs in any case; its changes are what is written once. When it fails although the key
    /// was used, as a check does that sees what the first commit has changed, that is a repeat too. A unit of
    /// work that writes nothing does not use its key up. With a retry policy an [`Error::OutcomeUnknown`] is
    /// cleared up by running again.
    ///
    /// # Errors
    ///
    /// Those of [`Unit::run`], [`Error::KeyReused`] when it would write an aggregate that the earlier commit
    /// did not write, and [`Error::InvalidText`] for the key.
    ///
    /// # Cancel safety
    ///
    /// As for [`Context::commit`]; running again with the same key finds out what happened.
    pub async fn run<T, F, Fut>(&self, work: F) -> Result<Committed<T>>
    where
        F: FnMut(Context) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        self.try_run(work).await
    }

    /// The same as [`run`](Self::run) with an error type of the caller.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    pub async fn try_run<T, E, F, Fut>(&self, work: F) -> Result<Committed<T>, E>
    where
        E: From<Error>,
        F: FnMut(Context) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.unit.attempts(Some(&self.key), work).await
    }
}
