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

    /// A fresh id. While one task reserves a block the others wait for it.
    pub(crate) async fn next(&self, engine: &dyn AnyEngine) -> Result<AggregateId, EngineError> {
        let mut ids = self.0.lock().await;
        if ids.is_empty() {
            let block = engine.reserve_ids(Self::BLOCK).await?;
            *ids = block.first.get()..block.first.get() + i64::from(block.count);
        }
        let id = AggregateId::new(ids.start);
        ids.start += 1;
        Ok(id)
    }
}
