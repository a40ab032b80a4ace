//! A durable subscription as a stream.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::sync::Mutex;

use super::{
    Batch, Decoder, Subscription,
    owner::{Owned, Step},
    patience::patiently,
    progress::Progress,
};
use crate::Result;

/// The batches of a durable subscription, each with its acknowledgement. Made by [`Subscription::stream`].
///
/// It ends by [`until`](Subscription::until), and after an error. [`close`](Self::close) gives the subscription up
/// in good order; dropped without that, the lease expires once the last [`Acknowledge`] is dropped too.
pub struct BatchStream<T> {
    batches: BoxStream<'static, Result<(Batch<T>, Acknowledge)>>,
    owned: Option<Arc<Mutex<Owned>>>,
}

/// Says that a batch of a stream was handled, and all before it.
#[derive(Debug)]
#[must_use = "a batch that is not acknowledged comes again when the subscription is run again"]
pub struct Acknowledge {
    owned: Arc<Mutex<Owned>>,
    step: Step,
}

impl<D: Decoder> Subscription<D> {
    /// Claims the subscription and delivers its batches as a stream. The next ones come whether or not those before
    /// were acknowledged; the cursor moves by [`Acknowledge::done`] alone.
    ///
    /// What the application does with a batch that it cannot handle is its own affair here: [`retry`](Self::retry) and
    /// [`on_failure`](Self::on_failure) play no role. An event that cannot be decoded ends the stream.
    ///
    /// ```
    /// # use evercore::{Aggregate, EventStore, state_event};
    /// # use evercore_memory::MemoryEngine;
    /// # #[derive(Debug, Default, Aggregate)]
    /// # #[aggregate(events(AccountOpened), snapshot = off)]
    /// # struct Account { owner: String }
    /// # #[state_event(Account)]
    /// # struct AccountOpened { owner: String }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> evercore::Result<()> {
    /// # let store = EventStore::open::<Account>(MemoryEngine::new()).await?;
    /// # store.with_context(async |ctx| {
    /// #     let mut account = ctx.create::<Account>().await?;
    /// #     ctx.apply(&mut account, AccountOpened { owner: "Ada".into() })
    /// # }).await?;
    /// use futures_util::TryStreamExt as _; // of the crate `futures-util`
    ///
    /// let mut batches = store.subscription("letters").decode::<Account>().stream().await?;
    /// while let Some((batch, acknowledge)) = batches.try_next().await? {
    ///     println!("{} letters to write", batch.len());
    ///     acknowledge.done().await?;
    /// #   break;
    /// }
    /// batches.close().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As at the start of [`run`](Self::run); those that come later are items of the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future of a next batch loses nothing: the batch comes with the next one.
    pub async fn stream(self) -> Result<BatchStream<D::Item>> {
        let Some(mut delivery) = self.claim().await? else {
            return Ok(BatchStream { batches: stream::empty().boxed(), owned: None });
        };
        // The stream runs ahead of the stored cursor, which moves by acknowledgements.
        let (name, cursor) = (delivery.progress.name().into(), delivery.progress.cursor());
        let here = Progress::Elsewhere { name, cursor };
        let Progress::Durable(owned) = std::mem::replace(&mut delivery.progress, here) else {
            unreachable!("a claimed subscription is durable")
        };
        let lost = Box::pin(owned.lost());
        let owned = Arc::new(Mutex::new(owned));
        let acknowledged = Arc::clone(&owned);
        let batches = stream::unfold(Some((delivery, lost)), move |state| {
            let owned = Arc::clone(&acknowledged);
            async move {
                let (mut delivery, mut lost) = state?;
                let next = tokio::select! {
                    biased;
                    error = &mut lost => Some(Err(error)),
                    next = delivery.next_batch::<D>() => next,
                };
                Some(match next? {
                    Ok((batch, step)) => (Ok((batch, Acknowledge { owned, step })), Some((delivery, lost))),
                    Err(error) => (Err(error), None),
                })
            }
        });
        Ok(BatchStream { batches: batches.fuse().boxed(), owned: Some(owned) })
    }
}

impl<T> BatchStream<T> {
    /// Gives the subscription up in good order, so that somebody else can own it at once. What was not acknowledged
    /// before cannot be any more, and comes again.
    ///
    /// # Cancel safety
    ///
    /// It is given up, or the lease expires.
    pub async fn close(self) {
        if let Some(owned) = self.owned {
            owned.lock().await.release(None).await;
        }
    }
}

impl Acknowledge {
    /// Moves the cursor behind the batch. While the store cannot be reached it waits, as the subscription does.
    ///
    /// # Errors
    ///
    /// [`Error::Fenced`](crate::Error::Fenced) when the subscription was lost, [`Error::Engine`](crate::Error::Engine).
    ///
    /// # Cancel safety
    ///
    /// The cursor has moved or not.
    pub async fn done(self) -> Result<()> {
        let mut owned = self.owned.lock().await;
        if self.step.to <= owned.cursor() {
            return Ok(());
        }
        patiently!(owned.advance(&self.step))
    }
}

impl<T> Stream for BatchStream<T> {
    type Item = Result<(Batch<T>, Acknowledge)>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_next_unpin(context)
    }
}

impl<T> fmt::Debug for BatchStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchStream").field("owned", &self.owned).finish_non_exhaustive()
    }
}
