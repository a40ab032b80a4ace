//! Refusing what would wait for itself: a write to a store while the same task holds its only writer.

use crate::EventStore;

tokio::task_local! {
    /// The store whose writer the task holds.
    static HELD: usize;
}

/// Runs something that holds the store's only writer.
pub(crate) async fn holding_the_writer<T>(store: &EventStore, work: impl Future<Output = T>) -> T {
    HELD.scope(store.address(), work).await
}

/// Whether the caller holds the store's only writer, and so would wait for itself.
pub(crate) fn is_for_itself(store: &EventStore) -> bool {
    HELD.try_with(|held| *held == store.address()).unwrap_or(false)
}
