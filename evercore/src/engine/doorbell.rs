//! The early wake-up of readers.

use tokio::sync::watch;

/// Rings when something was committed. Engines keep one and ring it; readers listen.
///
/// A ring may be missing, and may come for nothing: readers also look by themselves from time to time.
#[derive(Debug, Clone)]
pub struct Doorbell(watch::Sender<()>);

impl Doorbell {
    /// A doorbell that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// Wakes all listeners.
    pub fn ring(&self) {
        self.0.send_replace(());
    }

    /// Hears all rings from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }

    /// Whether anybody listens: an engine that has to look for others' commits need not look for nobody.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

/// Hears a [`Doorbell`].
#[derive(Debug)]
pub struct Listener(watch::Receiver<()>);

impl Listener {
    /// Waits for a ring that came after the last one heard. Rings that came together are heard as one.
    /// When the engine is gone, it waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no ring.
    pub async fn rung(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
