//! Events that a subscription has skipped.

use chrono::{DateTime, Utc};

use super::{
    Batch, Decoder, HandlerError, Subscription,
    closures::{caught, decoded},
    delivery::{Failure, with_causes},
};
use crate::{
    Error, EventStore, Position, RecordedEvent, Result,
    engine::{EventFilter, LogRead, StoredFailedDelivery},
};

/// How many failed deliveries are read at once.
const PAGE: u32 = 100;

/// An event that a subscription has [skipped](super::OnFailure::Skip), because its handler could not handle it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedDelivery {
    /// The event.
    pub position: Position,
    /// How often it was delivered, with others and alone.
    pub attempts: u32,
    /// What the handler, or the decoder, said at last.
    pub error: String,
    /// When it was skipped, by the store's clock.
    pub failed_at: DateTime<Utc>,
}

/// What became of failed deliveries that were delivered again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetriedFailures {
    /// The events that were handled now, and are failed deliveries no more.
    pub handled: Vec<Position>,
    /// Those that could not be handled this time either, and why.
    pub failed: Vec<(Position, String)>,
}

impl EventStore {
    /// The failed deliveries of a subscription in the order of their positions: at most `limit` of those after
    /// `after`. A subscription that does not exist has none.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn failed_deliveries(
        &self,
        name: &str,
        after: Position,
        limit: u32,
    ) -> Result<Vec<FailedDelivery>> {
        let found = self.engine_dyn().failed_deliveries(name, after, limit).await;
        let found = found.map_err(Error::engine(format_args!("list the failed deliveries of {name:?}")))?;
        Ok(found.into_iter().map(FailedDelivery::from).collect())
    }

    /// Forgets a failed delivery, and says whether there was one. The event itself stays in the log.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`].
    ///
    /// # Cancel safety
    ///
    /// It is forgotten or not.
    pub async fn drop_failed_delivery(&self, name: &str, position: Position) -> Result<bool> {
        let dropped = self.engine_dyn().drop_failed_delivery(name, position).await;
        dropped.map_err(Error::engine(format_args!("drop a failed delivery of {name:?}")))
    }

    async fn failed_event(&self, name: &str, position: Position) -> Result<RecordedEvent> {
        let read =
            LogRead { filter: EventFilter::default(), after: Position::new(position.get() - 1), limit: 1 };
        let page = self.engine_dyn().read_log(&read).await;
        let page = page.map_err(Error::engine(format_args!("read the event at position {position}")))?;
        match page.events.into_iter().next() {
            Some(event) if event.position == position => self.recorded(event).await,
            _ => Err(Error::LogRewound { name: name.into(), position }),
        }
    }
}

impl<D: Decoder> Subscription<D> {
    /// Delivers the subscription's failed deliveries again, each once and alone, and drops those that are handled. The
    /// subscription may run meanwhile; nobody needs to own it for this.
    ///
    /// # Errors
    ///
    /// [`Error::LogRewound`] when such an event is gone, [`Error::Engine`]. What the handler answers is part of the
    /// result.
    ///
    /// # Cancel safety
    ///
    /// The event in hand may have been handled, and still be a failed delivery.
    pub async fn retry_failed<F, Fut>(self, mut handler: F) -> Result<RetriedFailures>
    where
        F: FnMut(Batch<D::Item>) -> Fut,
        Fut: Future<Output = Result<(), HandlerError>>,
    {
        let (store, name) = (&self.store, self.name.as_str());
        let mut retried = RetriedFailures::default();
        let mut after = Position::START;
        loop {
            let page = store.failed_deliveries(name, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(retried) };
            after = last.position;
            for FailedDelivery { position, attempts, .. } in page {
                let event = store.failed_event(name, position).await?;
                let handled = match decoded::<D>(event) {
                    Ok(item) => {
                        let batch = Batch::new(vec![item], position, attempts.saturating_add(1));
                        caught(async { handler(batch).await }).await
                    }
                    Err(error) => Err(Failure::Handler(error)),
                };
                match handled {
                    Ok(()) => {
                        store.drop_failed_delivery(name, position).await?;
                        retried.handled.push(position);
                    }
                    Err(Failure::Handler(error)) => {
                        retried.failed.push((position, with_causes(&*error.into_inner())));
                    }
                    Err(Failure::Store(error)) => return Err(error),
                }
            }
        }
    }
}

impl From<StoredFailedDelivery> for FailedDelivery {
    fn from(stored: StoredFailedDelivery) -> Self {
        let StoredFailedDelivery { position, attempts, error, failed_at } = stored;
        Self { position, attempts, error, failed_at: failed_at.into() }
    }
}
