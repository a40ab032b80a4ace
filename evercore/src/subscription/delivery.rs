//! Delivering the events of a subscription, one batch after the other, until something ends it.

use std::{error::Error as StdError, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Batch, Decoder, HandlerError,
    closures::decoded,
    feed::Feed,
    owner::Step,
    patience::{Patience, patiently},
    progress::Progress,
    shutdown::Shutdown,
};
use crate::{
    Error, EventStore, Position, Result, RetryPolicy,
    engine::{EventIdentity, LogPage, NewFailedDelivery, StoredEvent},
};

/// Where nothing is delivered, the cursor is stored this often.
const IDLE_CHECKPOINT: Duration = Duration::from_secs(10);

/// What becomes of an event that cannot be handled, however often it is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// The subscription ends with [`Error::SubscriptionFailed`], and stays before the event.
    Stop,
    /// The event is recorded as a [failed delivery](EventStore::failed_deliveries), and the subscription goes
    /// on after it.
    Skip,
}

/// Hands batches over.
pub(super) trait Deliver<T> {
    /// Hands one over. When it was handled, the answer says whether the cursor has moved with it.
    fn deliver(
        &mut self,
        batch: Batch<T>,
        step: &Step,
        progress: &mut Progress,
    ) -> impl Future<Output = Result<Cursor, Failure>>;
}

/// Whether the cursor has moved with what was handled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cursor {
    /// It has.
    Moved,
    /// It is still to be moved.
    Stays,
}

/// Why a batch was not handled, or not for certain.
#[derive(Debug)]
pub(super) enum Failure {
    /// The handler could not do it.
    Handler(HandlerError),
    /// The store could not; this is no fault of the events.
    Store(Error),
}

/// Delivers events.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) store: EventStore,
    pub(super) feed: Feed,
    pub(super) progress: Progress,
    pub(super) options: DeliveryOptions,
    pub(super) shutdown: Shutdown,
    /// Everything up to here was considered. The cursor may be behind where nothing had to be delivered.
    position: Position,
    /// When the cursor was stored last.
    stored: Instant,
    /// What is delivered again, and how often it was.
    failing: Failing,
    patience: Patience,
}

/// How events are delivered.
#[derive(Debug, Clone)]
pub(super) struct DeliveryOptions {
    pub(super) batch_size: u32,
    pub(super) retry: RetryPolicy,
    pub(super) on_failure: OnFailure,
}

#[derive(Debug, Default)]
struct Failing {
    /// How often the events after the position were delivered in vain, together or now alone.
    attempts: u32,
    /// How many events that were.
    events: u32,
    /// Events up to here are delivered one by one, because a batch of them kept failing.
    alone_until: Position,
    /// How often that batch was delivered.
    together: u32,
}

/// A page of which as much is decoded as can be.
struct DecodedPage<T> {
    items: Vec<T>,
    step: Step,
    /// The first event that cannot be decoded, if it is the first of all.
    undecodable: Option<(EventIdentity, HandlerError)>,
}

impl Delivery {
    pub(super) fn new(
        store: EventStore,
        feed: Feed,
        progress: Progress,
        options: DeliveryOptions,
        shutdown: Shutdown,
    ) -> Self {
        let position = progress.cursor();
        let (stored, failing, patience) = (Instant::now(), Failing::default(), Patience::default());
        Self { store, feed, progress, options, shutdown, position, stored, failing, patience }
    }

    /// Delivers until a shutdown is requested, the subscription is lost, or something fails for good.
    pub(super) async fn run<D: Decoder>(mut self, handler: &mut impl Deliver<D::Item>) -> Result<()> {
        let lost = self.progress.lost();
        let outcome = tokio::select! {
            biased;
            // Drops the handler in the middle of its work.
            error = lost => Err(error),
            outcome = self.deliver_all::<D>(handler) => outcome,
        };
        self.progress.end(outcome.as_ref().err()).await;
        outcome
    }

    async fn deliver_all<D: Decoder>(&mut self, handler: &mut impl Deliver<D::Item>) -> Result<()> {
        while let Some(page) = self.next_page().await {
            let page = page?;
            let goes_on = match page.events.is_empty() {
                true => self.pass(page.end).await?,
                false => self.deliver_page::<D>(page, handler).await?,
            };
            if !goes_on {
                return Ok(());
            }
        }
        if self.position > self.progress.cursor() {
            match self.progress.advance(&Step::to(self.position)).await {
                // Nothing was delivered up to there: it costs another look at these events.
                Err(error) if error.is_temporary() => {
                    tracing::warn!(
                        subscription = self.progress.name(),
                        error = with_causes(&error),
                        "the cursor stays behind events that were passed over"
                    );
                }
                kept => kept?,
            }
        }
        Ok(())
    }

    /// The next batch for a stream, which goes on at once; `None` when a shutdown is requested.
    pub(super) async fn next_batch<D: Decoder>(&mut self) -> Option<Result<(Batch<D::Item>, Step)>> {
        loop {
            let page = match self.next_page().await? {
                Ok(page) => page,
                Err(error) => return Some(Err(error)),
            };
            if page.events.is_empty() {
                self.position = page.end;
                continue;
            }
            match self.decode::<D>(page).await {
                Ok(DecodedPage { undecodable: Some((event, error)), .. }) => {
                    return Some(Err(self.failed(event.position, error)));
                }
                Ok(DecodedPage { items, step, .. }) => {
                    self.considered(step.to);
                    return Some(Ok((Batch::new(items, step.to, 1), step)));
                }
                Err(error) if error.is_temporary() => {
                    if let Err(error) = self.wait_for_store(&error).await {
                        return Some(Err(error));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The next page; `None` when a shutdown is requested.
    async fn next_page(&mut self) -> Option<Result<LogPage>> {
        // The store and the handler may never have to wait; others shall come to their turn all the same.
        tokio::task::consume_budget().await;
        loop {
            let due = self.stored + IDLE_CHECKPOINT;
            let is_behind = self.position > self.progress.cursor();
            let (position, limit) = (self.position, self.limit());
            let feed = &mut self.feed;
            let next = async { patiently!(feed.next(position, limit)) };
            let next = async {
                match is_behind {
                    true => timeout_at(due, next).await.ok(),
                    false => Some(next.await),
                }
            };
            match self.shutdown.or(next).await? {
                Some(page) => return Some(page),
                None => match self.store_step(&Step::to(position)).await {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }

    fn limit(&self) -> u32 {
        let failing = &self.failing;
        match (self.position < failing.alone_until, failing.attempts) {
            (true, _) => 1,
            (false, 0) => self.options.batch_size,
            (false, _) => failing.events,
        }
    }

    /// Goes on over events that the filter held back.
    async fn pass(&mut self, end: Position) -> Result<bool> {
        self.position = end;
        match self.stored.elapsed() >= IDLE_CHECKPOINT {
            true => self.store_step(&Step::to(end)).await,
            false => Ok(true),
        }
    }

    async fn deliver_page<D: Decoder>(
        &mut self,
        page: LogPage,
        handler: &mut impl Deliver<D::Item>,
    ) -> Result<bool> {
        let page = match self.decode::<D>(page).await {
            Ok(page) => page,
            Err(error) if error.is_temporary() => return self.wait_for_store(&error).await,
            Err(error) => return Err(error),
        };
        if let Some((event, error)) = page.undecodable {
            return self.give_up(event, error).await;
        }
        let (count, step) = (page.items.len(), page.step);
        let batch = Batch::new(page.items, step.to, self.attempts() + 1);
        match handler.deliver(batch, &step, &mut self.progress).await {
            Ok(Cursor::Moved) => {
                self.considered(self.progress.cursor());
                self.failing.attempts = 0;
                Ok(true)
            }
            Ok(Cursor::Stays) => {
                self.failing.attempts = 0;
                self.store_step(&step).await
            }
            Err(Failure::Handler(error)) => self.handle_again(count, &step, error).await,
            Err(Failure::Store(error)) if error.is_temporary() => self.wait_for_store(&error).await,
            Err(Failure::Store(error)) => Err(error),
        }
    }

    async fn decode<D: Decoder>(&self, page: LogPage) -> Result<DecodedPage<D::Item>> {
        let mut items = Vec::with_capacity(page.events.len());
        let mut step = Step::to(page.end);
        for event in page.events {
            let identity = event.identity();
            match self.decode_one::<D>(event).await? {
                Ok(item) => items.push(item),
                Err(error) => {
                    // Those before it are delivered first; then it stands at the beginning of a page.
                    let undecodable = items.is_empty().then_some((identity, error));
                    step.to = step.anchor.map_or(self.position, |last| last.position);
                    return Ok(DecodedPage { items, step, undecodable });
                }
            }
            step.anchor = Some(identity);
        }
        Ok(DecodedPage { items, step, undecodable: None })
    }

    /// An event, or why it cannot be decoded; an error when the store could not help.
    async fn decode_one<D: Decoder>(&self, event: StoredEvent) -> Result<Result<D::Item, HandlerError>> {
        match self.store.recorded(event).await {
            Ok(event) => Ok(decoded::<D>(event)),
            Err(error @ Error::Engine { .. }) => Err(error),
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// Waits for another try, or decides that there have been enough. Answers whether to go on.
    async fn handle_again(&mut self, count: usize, step: &Step, error: HandlerError) -> Result<bool> {
        self.failing.attempts += 1;
        self.failing.events = u32::try_from(count).unwrap_or(u32::MAX);
        let attempts = self.failing.attempts;
        if let Some(pause) = self.options.retry.pause(attempts) {
            tracing::warn!(subscription = self.progress.name(), %error, attempts, ?pause, "a handler failed");
            return Ok(self.shutdown.or(sleep(pause)).await.is_some());
        }
        match step.anchor {
            Some(last) if count > 1 => {
                tracing::warn!(subscription = self.progress.name(), %error, events = count,
                    "a handler keeps failing; its events are delivered one by one");
                self.failing =
                    Failing { alone_until: last.position, together: attempts, ..Failing::default() };
                Ok(true)
            }
            Some(event) => self.give_up(event, error).await,
            None => Ok(true),
        }
    }

    /// How often the events after the position were delivered in vain.
    fn attempts(&self) -> u32 {
        let Failing { attempts, together, alone_until, .. } = self.failing;
        let together = if self.position < alone_until { together } else { 0 };
        together.saturating_add(attempts)
    }

    /// Does with an event that cannot be handled what the application wants.
    async fn give_up(&mut self, event: EventIdentity, error: HandlerError) -> Result<bool> {
        let position = event.position;
        match self.options.on_failure {
            OnFailure::Stop => Err(self.failed(position, error)),
            OnFailure::Skip => {
                let (attempts, error) = (self.attempts().max(1), with_causes(&*error.into_inner()));
                tracing::error!(subscription = self.progress.name(), %position, attempts, error,
                    "an event is skipped");
                let failed = vec![NewFailedDelivery { position, attempts, error }];
                self.failing.attempts = 0;
                self.store_step(&Step { to: position, anchor: Some(event), failed }).await
            }
        }
    }

    fn failed(&self, position: Position, source: HandlerError) -> Error {
        let (name, attempts) = (self.progress.name().into(), self.attempts().max(1));
        Error::SubscriptionFailed { name, position, attempts, source: source.into_inner() }
    }

    /// Moves the cursor, and goes on trying while the store cannot. Answers `false` when a shutdown is
    /// requested before it could.
    async fn store_step(&mut self, step: &Step) -> Result<bool> {
        loop {
            match self.progress.advance(step).await {
                Ok(()) => {
                    // Further on, where a transaction was committed whose outcome was in doubt.
                    self.considered(self.progress.cursor());
                    return Ok(true);
                }
                Err(error) if error.is_temporary() => {
                    if !self.wait_for_store(&error).await? {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn considered(&mut self, position: Position) {
        self.position = position;
        self.stored = Instant::now();
        self.patience.renew();
    }

    /// Waits before the store is asked again; answers `false` when a shutdown is requested meanwhile.
    async fn wait_for_store(&mut self, error: &Error) -> Result<bool> {
        let pause = self.patience.pause(error);
        Ok(self.shutdown.or(sleep(pause)).await.is_some())
    }
}

/// An error and why it came about, in one line.
pub(super) fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
