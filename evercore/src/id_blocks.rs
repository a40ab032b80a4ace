//! Ids for new aggregates, taken from blocks so that creating one is no round trip.

use std::ops::Range;

use tokio::sync::Mutex;

use crate::{
    AggregateId,
    engine::{AnyEngine, EngineError},
};

/// The ids that are reserved and not yet used.
#[derive(Debug, Default)]
pub(crate) struct IdBlocks(Mutex<Range<i64>>);

impl IdBlocks {
    /// How many ids are reserved at once. Those that are left when the process ends are lost, which costs
    /// nothing: ids have 63 bits.
    const BLOCK: u32 = 256;

    /// As many are reserved before somebody holds the only writer, and at least half of them are left then.
    const STOCK: u32 = 1_024;

    /// Whether the next id has to be reserved first.
    pub(crate) async fn are_used_up(&self) -> bool {
        self.0.lock().await.is_empty()
    }

    /// Reserves ids unless there are enough for now.
    pub(crate) async fn stock(&self, engine: &dyn AnyEngine) -> Result<(), EngineError> {
        let mut ids = self.0.lock().await;
        if ids.end - ids.start < i64::from(Self::STOCK / 2) {
            *ids = reserve(engine, Self::STOCK).await?;
        }
        Ok(())
    }

    /// A fresh id. While one task reserves a block the others wait for it.
    pub(crate) async fn next(&self, engine: &dyn AnyEngine) -> Result<AggregateId, EngineError> {
        let mut ids = self.0.lock().await;
        if ids.is_empty() {
            *ids = reserve(engine, Self::BLOCK).await?;
        }
        let id = AggregateId::new(ids.start);
        ids.start += 1;
        Ok(id)
    }
}

async fn reserve(engine: &dyn AnyEngine, count: u32) -> Result<Range<i64>, EngineError> {
    let block = engine.reserve_ids(count).await?;
    Ok(block.first.get()..block.first.get() + i64::from(block.count))
}
