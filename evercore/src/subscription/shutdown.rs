//! The wish to end a subscription in good order.

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use futures_util::{FutureExt as _, future::Fuse};

type Wish = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Is requested when the future that the application gave is done.
pub(super) struct Shutdown {
    /// Never locked: the mutex makes it `Sync`, which futures that are only `Send` are not.
    wish: Option<Mutex<Fuse<Wish>>>,
    requested: bool,
}

impl Shutdown {
    /// Is never requested.
    pub(super) fn never() -> Self {
        Self { wish: None, requested: false }
    }

    pub(super) fn when(wish: impl Future<Output = ()> + Send + 'static) -> Self {
        let wish: Wish = Box::pin(wish);
        Self { wish: Some(Mutex::new(wish.fuse())), requested: false }
    }

    /// Waits until it is requested. May be called again after that.
    pub(super) async fn requested(&mut self) {
        if !self.requested {
            match &mut self.wish {
                Some(wish) => wish.get_mut().unwrap_or_else(PoisonError::into_inner).await,
                None => std::future::pending().await,
            }
            self.requested = true;
        }
    }

    /// The outcome of `work`, or `None` when the shutdown is requested before, which drops `work`.
    pub(super) async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.requested() => None,
            done = work => Some(done),
        }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("requested", &self.requested).finish_non_exhaustive()
    }
}
