//! Events that a subscription has skipped.

use chrono::{DateTime, Utc};

use super::{
    Batch, Decoder, HandlerError, Subscription,
    closures::{caught, decoded},
    delivery::{Failure, with_causes},
};
use crate::{
    Error, EventStore, Position, RecordedEvent, Result,
    engine::{EngineError, EngineErrorKind, EventFilter, LogRead, StoredFailedDelivery},
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
            _ => Err(self.lost_event(name, position)),
        }
    }

    /// The error that an event which a subscription has seen is not there any more.
    pub(super) fn lost_event(&self, subscription: &str, position: Position) -> Error {
        let problem = format!("the event at position {position} is gone, or another one is in its place");
        self.rewound(subscription, problem)
    }

    /// The error that the log is not the one which a subscription has read.
    pub(super) fn rewound(&self, subscription: &str, problem: String) -> Error {
        let kind = EngineErrorKind::LogRewound;
        let source = EngineError::new(self.engine_dyn().name(), "find events again", kind, problem);
        Error::LogRewound { action: format!("go on with the subscription {subscription:?}"), source }
    }
}

impl<D: Decoder> Subscription<D> {
    /// Delivers the subscription's failed deliveries again, each once and alone, and drops those that are handled. The
    /// subscription may run meanwhile; nobody needs to own it for this.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSubscription`], [`Error::LogRewound`] when such an event is gone, [`Error::Engine`]. What the handler answers is part of the
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
        if store.find_subscription(name).await?.is_none() {
            return Err(Error::UnknownSubscription(name.into()));
        }
        let mut retried = RetriedFailures::default();
        let mut after = Position::START;
        loop {
            let page = store.failed_deliveries(name, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(retried) };
            after = last.position;
            for FailedDelivery { position, attempts, .. } in page {
                let event = match store.failed_event(name, position).await {
                    Ok(event) => decoded::<D>(event),
                    // What cannot be read of an event was a reason to skip it, too.
                    Err(error @ (Error::Engine { .. } | Error::LogRewound { .. })) => return Err(error),
                    Err(error) => Err(error.into()),
                };
                let handled = match event {
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
