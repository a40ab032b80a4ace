//! Commits: everything is checked first and written then, and what is checked cannot fail to be written.

use std::collections::HashSet;

use evercore::{
    Position,
    engine::{
        AggregateChange, Changes, CommitError, CommitOutcome, Expected, KeyChange, NewEvent, NewSnapshot,
        PastCommit, StoredEvent, Timestamp,
    },
};

use crate::tables::{AggregateRow, Tables, UniqueKey, position};

impl Tables {
    /// Writes the changes, or returns an error and leaves everything as it is.
    pub(crate) fn commit(&mut self, changes: &Changes) -> Result<CommitOutcome, CommitError> {
        if let Some(outcome) = self.repeated(changes) {
            return Ok(outcome);
        }
        for change in &changes.aggregates {
            self.check_version_and_key(change)?;
        }
        self.check_keys_are_free(changes)?;
        Ok(self.write(changes))
    }

    fn repeated(&self, changes: &Changes) -> Option<CommitOutcome> {
        let first = self.commits.get(&changes.idempotency.as_ref()?.key)?;
        Some(CommitOutcome::Repeated(first.clone()))
    }

    fn check_version_and_key(&self, change: &AggregateChange) -> Result<(), CommitError> {
        match (self.aggregates.get(&change.id), change.expected) {
            (None, Expected::New) => Ok(()),
            (None, Expected::At(_)) => Err(CommitError::UnknownAggregate(change.id)),
            (Some(row), Expected::At(version)) if row.version() == version && row.has_key_before(change) => {
                Ok(())
            }
            (Some(row), _) => {
                Err(CommitError::Conflict { aggregate: change.id, actual: Some(row.version()) })
            }
        }
    }

    /// A key is free when nobody has it, or when who has it gives it up in the same commit.
    fn check_keys_are_free(&self, changes: &Changes) -> Result<(), CommitError> {
        let freed: HashSet<UniqueKey> = changes.aggregates.iter().filter_map(key_given_up).collect();
        let mut taken = HashSet::new();
        for change in &changes.aggregates {
            let Some(key) = key_received(change) else { continue };
            if self.keys.contains_key(&key) && !freed.contains(&key) || !taken.insert(key) {
                return Err(CommitError::DuplicateKey(change.id));
            }
        }
        Ok(())
    }

    fn write(&mut self, changes: &Changes) -> CommitOutcome {
        let committed_at = self.tick();
        self.write_aggregates(&changes.aggregates);
        self.write_keys(&changes.aggregates);
        for event in &changes.events {
            self.write_event(event, committed_at);
        }
        for snapshot in &changes.snapshots {
            self.write_snapshot(snapshot);
        }
        let last_position = (!changes.events.is_empty()).then(|| self.head());
        self.remember(changes, last_position, committed_at);
        CommitOutcome::Committed { last_position, committed_at }
    }

    fn write_aggregates(&mut self, changes: &[AggregateChange]) {
        for change in changes.iter().filter(|change| change.expected == Expected::New) {
            let row = AggregateRow { type_id: change.type_id, key: None, events: Vec::new(), snapshot: None };
            self.aggregates.insert(change.id, row);
        }
    }

    /// First every key that is given up is freed, then every new one is set, so that keys can be swapped.
    fn write_keys(&mut self, changes: &[AggregateChange]) {
        for key in changes.iter().filter_map(key_given_up) {
            self.keys.remove(&key);
        }
        for change in changes {
            let Some(key) = key_received(change) else { continue };
            if let Some(row) = self.aggregates.get_mut(&change.id) {
                row.key = Some(key.1.clone());
                self.keys.insert(key, change.id);
            }
        }
    }

    fn write_event(&mut self, event: &NewEvent, recorded_at: Timestamp) {
        let index = self.log.len();
        if let Some(row) = self.aggregates.get_mut(&event.aggregate_id) {
            row.events.push(index);
        }
        self.log.push(StoredEvent {
            position: position(index + 1),
            aggregate_id: event.aggregate_id,
            aggregate_type: event.aggregate_type,
            event_type: event.event_type,
            sequence: event.sequence,
            time: event.time,
            recorded_at,
            reference: event.reference.clone(),
            metadata: event.metadata.clone(),
            payload: event.payload.clone(),
        });
    }

    fn write_snapshot(&mut self, snapshot: &NewSnapshot) {
        let Some(row) = self.aggregates.get_mut(&snapshot.aggregate_id) else { return };
        if row.snapshot.as_ref().is_none_or(|kept| kept.sequence <= snapshot.sequence) {
            row.snapshot = Some(snapshot.clone());
        }
    }

    fn remember(&mut self, changes: &Changes, last_position: Option<Position>, committed_at: Timestamp) {
        if let Some(idempotency) = &changes.idempotency {
            let receipt = idempotency.receipt.clone();
            let commit = PastCommit { receipt, last_position, committed_at };
            self.commits.insert(idempotency.key.clone(), commit);
        }
    }
}

impl AggregateRow {
    fn has_key_before(&self, change: &AggregateChange) -> bool {
        match &change.key {
            KeyChange::Keep => true,
            KeyChange::Set { from, .. } => self.key == *from,
        }
    }
}

fn key_given_up(change: &AggregateChange) -> Option<UniqueKey> {
    match &change.key {
        KeyChange::Set { from: Some(from), .. } => Some((change.type_id, from.clone())),
        KeyChange::Set { from: None, .. } | KeyChange::Keep => None,
    }
}

fn key_received(change: &AggregateChange) -> Option<UniqueKey> {
    match &change.key {
        KeyChange::Set { to, .. } => Some((change.type_id, to.clone())),
        KeyChange::Keep => None,
    }
}
