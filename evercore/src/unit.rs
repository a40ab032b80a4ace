//! Units of work that are described first and may run several times.

use chrono::{DateTime, Utc};

use crate::{
    Committed, Context, Error, EventOptions, EventStore, Metadata, OnceUnit, Receipt, Result, RetryPolicy,
    context::Outcome,
};

/// Describes a unit of work: how often it runs, and what its events have in common. Made by
/// [`EventStore::unit`].
///
/// ```
/// # use evercore::{Aggregate, EventStore, RetryPolicy, state_event};
/// # use evercore_memory::MemoryEngine;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Default, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(events(AccountOpened))]
/// # struct Account { owner: String }
/// # #[state_event(Account)]
/// # struct AccountOpened { owner: String }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> evercore::Result<()> {
/// # let store = EventStore::open::<Account>(MemoryEngine::new()).await?;
/// let owner = String::from("Ada");
/// let work = store.unit().retry(RetryPolicy::default()).reference("form 12");
/// let (id, receipt) = work
///     .run(async |ctx| {
///         let mut account = ctx.load_or_create::<Account>("A-1").await?;
///         ctx.apply(&mut account, AccountOpened { owner: owner.clone() })?;
///         Ok(account.id())
///     })
///     .await?;
/// assert_eq!(receipt.aggregates()[0].id, id.untyped());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Unit {
    store: EventStore,
    retry: RetryPolicy,
    defaults: EventOptions,
}

impl Unit {
    pub(crate) fn new(store: EventStore) -> Self {
        Self { store, retry: RetryPolicy::none(), defaults: EventOptions::new() }
    }

    /// Runs it again after a conflict, and after an error of the engine that is temporary. By default it
    /// runs once.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// The time of events that are applied without one.
    #[must_use]
    pub fn at(mut self, time: DateTime<Utc>) -> Self {
        self.defaults = self.defaults.at(time);
        self
    }

    /// The reference of events that are applied without one.
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.defaults = self.defaults.reference(reference);
        self
    }

    /// Facts about all events; those that are given with an event go before.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.defaults = self.defaults.metadata(metadata);
        self
    }

    /// Makes it happen once: the key, 1 to 255 bytes, is stored with the commit, and a later unit of work
    /// with the same key writes nothing.
    #[must_use]
    pub fn once(self, key: impl Into<String>) -> OnceUnit {
        OnceUnit { unit: self, key: key.into() }
    }

    /// Begins the unit of work; it is committed by hand, and so not run again.
    #[must_use]
    pub fn begin(&self) -> Context {
        Context::new(self.store.clone(), self.defaults.clone(), None)
    }

    /// Runs the closure and commits, again after each conflict while the policy allows it; returns the
    /// closure's value and the receipt.
    ///
    /// The closure is called with a fresh [`Context`] each time; it must not commit by itself. It has one of two
    /// forms, because it may be called several times:
    ///
    /// * `async |ctx| { … Ok(value) }` may borrow shared values of its surroundings;
    /// * `move |ctx| { let name = name.clone(); async move { … Ok(value) } }` owns what it needs.
    ///
    /// When the compiler says "async closure does not implement `FnMut` because it captures state from its
    /// environment", the closure is an `async move |ctx|`: leave out the `move`, or take the second form. Or it
    /// changes a variable of its surroundings (`runs += 1`): count in an atomic, or return the value.
    ///
    /// When it says that `From<…>` is not implemented for [`Error`], the closure has an error of its own:
    /// take [`try_run`](Self::try_run).
    ///
    /// # Errors
    ///
    /// Those of the last run: of the closure, or of [`Context::commit`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Context::commit`].
    pub async fn run<T, F, Fut>(&self, work: F) -> Result<(T, Receipt)>
    where
        F: FnMut(Context) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        self.try_run(work).await
    }

    /// The same as [`run`](Self::run) with an error type of the caller, which is `From<evercore::Error>`.
    ///
    /// ```
    /// # use evercore::{Aggregate, EventStore, RetryPolicy, state_event};
    /// # use evercore_memory::MemoryEngine;
    /// # #[derive(Debug, Default, Aggregate)]
    /// # #[aggregate(events(SeatsChanged), snapshot = off)]
    /// # struct Show { seats: u32 }
    /// # #[state_event(Show)]
    /// # struct SeatsChanged { seats: u32 }
    /// #[derive(Debug, thiserror::Error)]
    /// enum AppError {
    ///     #[error(transparent)]
    ///     Store(#[from] evercore::Error),
    ///     #[error("the show is sold out")]
    ///     SoldOut,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), AppError> {
    /// # let store = EventStore::open::<Show>(MemoryEngine::new()).await?;
    /// let work = store.unit().retry(RetryPolicy::default());
    /// let sold = work
    ///     .try_run(async |ctx| {
    ///         let mut show = ctx.load_or_create::<Show>("monday").await?;
    ///         let Some(seats) = show.seats.checked_sub(1) else { return Err(AppError::SoldOut) };
    ///         ctx.apply(&mut show, SeatsChanged { seats })?;
    ///         Ok(seats)
    ///     })
    ///     .await;
    /// assert!(matches!(sold, Err(AppError::SoldOut)));
    ///
    /// // Where no line of the closure names the error type, its last one does.
    /// work.try_run(async |ctx| {
    ///     let mut show = ctx.load_or_create::<Show>("monday").await?;
    ///     ctx.apply(&mut show, SeatsChanged { seats: 100 })?;
    ///     Ok::<_, AppError>(())
    /// })
    /// .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the last run: of the closure, or of [`Context::commit`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Context::commit`].
    pub async fn try_run<T, E, F, Fut>(&self, work: F) -> Result<(T, Receipt), E>
    where
        E: From<Error>,
        F: FnMut(Context) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        match self.attempts(None, work).await? {
            Committed::Fresh(value, receipt) => Ok((value, receipt)),
            Committed::Repeat(_) => unreachable!("without a key nothing is a repeat"),
        }
    }

    pub(crate) async fn attempts<T, E, F, Fut>(
        &self,
        key: Option<&str>,
        mut work: F,
    ) -> Result<Committed<T>, E>
    where
        E: From<Error>,
        F: FnMut(Context) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut attempt = 1;
        loop {
            let ctx = Context::new(self.store.clone(), self.defaults.clone(), key.map(str::to_owned));
            let (error, again) = match work(ctx.clone()).await {
                Ok(value) => match ctx.commit_once().await {
                    Ok(Outcome::Repeat(receipt)) if key.is_some() => return Ok(Committed::Repeat(receipt)),
                    Ok(Outcome::Fresh(receipt) | Outcome::Repeat(receipt)) => {
                        return Ok(Committed::Fresh(value, receipt));
                    }
                    Err(error) => {
                        // With a key the next run finds out what became of this one; without, it might do it twice.
                        let unknown = key.is_some() && matches!(error, Error::OutcomeUnknown { .. });
                        let again = unknown || error.is_conflict() || error.is_temporary();
                        (error.into(), again)
                    }
                },
                Err(error) => {
                    // What the closure objects to may be what the first commit under the key has done.
                    if let Some(receipt) = self.earlier(key).await {
                        return Ok(Committed::Repeat(receipt));
                    }
                    (error, ctx.wants_retry())
                }
            };
            match self.retry.pause(attempt) {
                Some(pause) if again => {
                    tracing::debug!(attempt, ?pause, "the unit of work runs again");
                    tokio::time::sleep(pause).await;
                    attempt += 1;
                }
                _ => return Err(error),
            }
        }
    }

    /// The commit that was made under the key, if that can be found out.
    async fn earlier(&self, key: Option<&str>) -> Option<Receipt> {
        match self.store.receipt(key?).await {
            Ok(receipt) => receipt,
            Err(error) => {
                tracing::warn!(%error, "whether the unit of work happened before is not known");
                None
            }
        }
    }
}
