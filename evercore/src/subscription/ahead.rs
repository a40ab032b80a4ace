//! Reading the next page while the last one is handled.

use std::panic;

use tokio::task::JoinHandle;

use crate::{Position, Result, engine::LogPage, filter::Selection};

/// At most one page that nobody has asked for yet.
#[derive(Debug, Default)]
pub(super) struct Ahead(Option<Reading>);

#[derive(Debug)]
struct Reading {
    after: Position,
    limit: u32,
    task: JoinHandle<Result<LogPage>>,
}

impl Ahead {
    /// Begins to read a page.
    pub(super) fn begin(&mut self, selection: &Selection, after: Position, limit: u32) {
        let mut selection = selection.clone();
        let task = tokio::spawn(async move { selection.read(after, limit).await });
        self.0 = Some(Reading { after, limit, task });
    }

    /// The page after a position, which may be there already. Dropping the future leaves it for the next call.
    pub(super) async fn read(
        &mut self,
        selection: &mut Selection,
        after: Position,
        limit: u32,
    ) -> Result<LogPage> {
        if let Some(reading) = &mut self.0
            && (reading.after, reading.limit) == (after, limit)
        {
            let read = (&mut reading.task).await;
            self.0 = None;
            match read {
                Ok(page) => return page,
                Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
                // The runtime of the task has ended, and this one has not.
                Err(_) => {}
            }
        }
        selection.read(after, limit).await
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}
