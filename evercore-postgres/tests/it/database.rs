//! A database for one test, beside a runtime.

use std::{ops::Deref, thread};

use tokio::runtime::Handle;
use xtask::postgres::{Database, PgBouncer, Server};

/// Is removed when the runtime ends, after all tasks. If it was removed at once, tasks that are connecting would stand
/// still meanwhile, and the server does not remove a database before nobody is connecting.
pub(crate) struct OwnDatabase(Option<Database>);

impl OwnDatabase {
    pub(crate) async fn create() -> Self {
        Self::on(Server::for_tests).await
    }

    /// One that a pooler can stand before, where there is one: not on a server that is named in the environment.
    pub(crate) async fn create_for_pooler() -> Self {
        Self::on(if PgBouncer::is_installed() { Server::throwaway_for_tests } else { Server::for_tests })
            .await
    }

    async fn on(server: fn() -> xtask::Result<Server>) -> Self {
        let create = move || server().and_then(|server| server.create_database());
        let created = tokio::task::spawn_blocking(create).await.expect("it does not panic");
        created.expect("a database").into()
    }
}

impl From<Database> for OwnDatabase {
    fn from(database: Database) -> Self {
        Self(Some(database))
    }
}

impl Deref for OwnDatabase {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.0.as_ref().expect("it is there until the end")
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let database = self.0.take();
        // That of a test that failed is kept, which is known on this thread alone.
        if !thread::panicking()
            && let Ok(runtime) = Handle::try_current()
        {
            // The runtime waits for what blocks.
            runtime.spawn_blocking(move || drop(database));
        }
    }
}
