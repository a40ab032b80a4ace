//! The second line of defence: that each aggregate's events arrive without a gap.

use std::collections::HashMap;

use crate::{AggregateId, AggregateRef, Error, Result, Sequence, engine::StoredEvent};

/// Remembers so many aggregates; then it begins anew, and each is accepted at first sight again.
const CAPACITY: usize = 65_536;

/// Knows the last sequence that was seen of each aggregate. Of use where a filter shows aggregates whole.
#[derive(Debug, Default)]
pub(super) struct Continuity(HashMap<AggregateId, Sequence>);

impl Continuity {
    /// Checks a page. Events that were seen before may come again.
    pub(super) fn check(&mut self, events: &[StoredEvent]) -> Result<()> {
        for event in events {
            if self.0.len() >= CAPACITY {
                self.0.clear();
            }
            let last = self.0.entry(event.aggregate_id).or_insert(event.sequence);
            if event.sequence > last.next() {
                let problem = format!(
                    "event {} arrived at position {}, and the one before it never did",
                    event.sequence, event.position
                );
                let aggregate = AggregateRef::new("aggregate", event.aggregate_id);
                return Err(Error::Damaged { aggregate, problem });
            }
            *last = event.sequence.max(*last);
        }
        Ok(())
    }
}
