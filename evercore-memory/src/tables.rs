//! What a store holds, and how it is found.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use evercore::{
    AggregateId, AggregateTypeId, EventTypeId, NaturalKey, Position, Sequence,
    engine::{
        IdBlock, Load, LoadTarget, LoadedAggregate, LoadedSnapshot, LogPage, LogRead, NewSnapshot,
        PastCommit, SnapshotUse, StoredEvent, StoredSnapshot, Timestamp, TypeCatalog, TypeNames,
    },
};

use crate::subscription_table::SubscriptionTable;

/// All data of a store.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) types: TypeCatalog,
    last_id: i64,
    pub(crate) aggregates: BTreeMap<AggregateId, AggregateRow>,
    pub(crate) keys: HashMap<UniqueKey, AggregateId>,
    /// The event at position 1, 2, 3 …
    pub(crate) log: Vec<StoredEvent>,
    pub(crate) commits: HashMap<String, PastCommit>,
    pub(crate) subscriptions: SubscriptionTable,
    clock: Option<Timestamp>,
}

/// A natural key is unique within its aggregate type.
pub(crate) type UniqueKey = (AggregateTypeId, NaturalKey);

/// An aggregate.
#[derive(Debug)]
pub(crate) struct AggregateRow {
    pub(crate) type_id: AggregateTypeId,
    pub(crate) key: Option<NaturalKey>,
    /// Where its events stand in the log: the index of that with sequence 1, 2, 3 …
    pub(crate) events: Vec<usize>,
    pub(crate) snapshot: Option<NewSnapshot>,
}

impl Tables {
    pub(crate) fn define_types(&mut self, names: &TypeNames) {
        define(&mut self.types.aggregates, &names.aggregates, AggregateTypeId::new);
        define(&mut self.types.events, &names.events, EventTypeId::new);
    }

    pub(crate) fn reserve_ids(&mut self, count: u32) -> IdBlock {
        let first = AggregateId::new(self.last_id + 1);
        self.last_id += i64::from(count);
        IdBlock { first, count }
    }

    /// The time at which something is written.
    pub(crate) fn tick(&mut self) -> Timestamp {
        *self.clock.insert(self.now())
    }

    /// The time of this machine, or that of the last write when the clock was set back since.
    pub(crate) fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        self.clock.map_or(now, |last| last.max(now))
    }

    pub(crate) fn forget_commits(&mut self, before: Timestamp) -> u64 {
        let known = self.commits.len();
        self.commits.retain(|_, commit| commit.committed_at >= before);
        (known - self.commits.len()) as u64
    }

    pub(crate) fn find_by_key(&self, type_id: AggregateTypeId, key: &NaturalKey) -> Option<AggregateId> {
        self.keys.get(&(type_id, key.clone())).copied()
    }

    pub(crate) fn load(&self, request: &Load) -> Option<LoadedAggregate> {
        let id = match &request.target {
            LoadTarget::Id(id) => *id,
            LoadTarget::Key(type_id, key) => self.find_by_key(*type_id, key)?,
        };
        let row = self.aggregates.get(&id)?;
        let snapshot = row.snapshot_for(request);
        let after = match &snapshot {
            LoadedSnapshot::Found(found) => found.sequence,
            LoadedSnapshot::None | LoadedSnapshot::Misfit => request.after,
        };
        Some(LoadedAggregate {
            id,
            type_id: row.type_id,
            key: row.key.clone(),
            version: row.version(),
            snapshot,
            events: self.events_of(row, after).take(size(request.limit)).cloned().collect(),
        })
    }

    fn events_of(&self, row: &AggregateRow, after: Sequence) -> impl Iterator<Item = &StoredEvent> {
        row.events.iter().skip(count(after.get())).map(|&index| &self.log[index])
    }

    pub(crate) fn aggregate_ids(
        &self,
        type_id: AggregateTypeId,
        after: Option<AggregateId>,
        limit: u32,
    ) -> Vec<AggregateId> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.aggregates
            .range((after, Bound::Unbounded))
            .filter(|(_, row)| row.type_id == type_id)
            .map(|(id, _)| *id)
            .take(size(limit))
            .collect()
    }

    pub(crate) fn read_log(&self, read: &LogRead) -> LogPage {
        let events: Vec<_> = self
            .log
            .iter()
            .skip(count(read.after.get()))
            .filter(|event| read.filter.allows(event))
            .take(size(read.limit))
            .cloned()
            .collect();
        let end = match events.last() {
            Some(last) if events.len() == size(read.limit) => last.position,
            _ => read.after.max(self.head()),
        };
        LogPage { events, end }
    }

    pub(crate) fn head(&self) -> Position {
        position(self.log.len())
    }

    pub(crate) fn locate(&self, since: Timestamp) -> Position {
        position(self.log.partition_point(|event| event.recorded_at < since))
    }
}

impl AggregateRow {
    pub(crate) fn version(&self) -> Sequence {
        Sequence::new(self.events.len() as i64)
    }

    fn snapshot_for(&self, request: &Load) -> LoadedSnapshot {
        let Some(snapshot) = self.snapshot.as_ref().filter(|snapshot| snapshot.sequence > request.after)
        else {
            return LoadedSnapshot::None;
        };
        match request.snapshot {
            SnapshotUse::Ignore => LoadedSnapshot::None,
            SnapshotUse::Fitting(fingerprint) if fingerprint != snapshot.fingerprint => {
                LoadedSnapshot::Misfit
            }
            SnapshotUse::Any | SnapshotUse::Fitting(_) => LoadedSnapshot::Found(StoredSnapshot {
                sequence: snapshot.sequence,
                payload: snapshot.payload.clone(),
            }),
        }
    }
}

/// The position after `count` events of the log.
pub(crate) fn position(count: usize) -> Position {
    Position::new(count as i64)
}

/// How many things have a number up to this one.
fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn size(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn define<Id>(known: &mut Vec<(Id, String)>, names: &[String], id: fn(i64) -> Id) {
    for name in names {
        if !known.iter().any(|(_, known)| known == name) {
            known.push((id(known.len() as i64 + 1), name.clone()));
        }
    }
}
