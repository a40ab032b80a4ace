//! What cases write, and small helpers to look at what came of it.

use std::{ops::Deref, sync::Arc};

use tokio::sync::Barrier;

use super::Harness;
use crate::{
    AggregateId, AggregateTypeId, EventTypeId, Fingerprint, NaturalKey, Payload, Position, Sequence,
    engine::{
        AggregateChange, Changes, CommitError, CommitOutcome, EventFilter, Expected, Idempotency, KeyChange,
        Load, LoadTarget, LoadedAggregate, LogRead, NewEvent, NewSnapshot, SnapshotUse, StorageEngine,
        StoredEvent, Timestamp, TypeNames,
    },
};

/// The shape of the sample snapshots.
pub(super) const SHAPE: Fingerprint = Fingerprint::new(i64::MIN + 7);

/// Texts that stores like to change or to mix up. No two of them are equal.
pub(super) const AWKWARD_TEXTS: &[&str] = &[
    " ",
    "  ",
    "a",
    "A",
    "a ",
    "\t",
    "\n",
    "\r\n",
    "'",
    "''",
    "\"quoted\"",
    "back\\slash",
    "\\u0041",
    "%",
    "_",
    "%like_",
    "$1",
    "?1",
    "{schema}",
    "-- comment",
    "'; drop table events; --",
    "NULL",
    "0",
    "00",
    "1e3",
    "{\"json\":[null]}",
    "\u{1}",
    "\u{1f}",
    "\u{7f}",
    "\u{80}",
    "\u{a0}",
    // Composed, decomposed, and with a second combining mark.
    "caf\u{e9}",
    "cafe\u{301}",
    "cafe\u{301}\u{323}",
    "\u{212b}",
    "\u{c5}",
    "\u{df}",
    "ss",
    "\u{130}",
    "i\u{307}",
    // Right to left, and marks that turn the direction.
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "\u{645}\u{631}\u{62d}\u{628}\u{627}",
    "\u{202e}abc\u{202c}",
    "\u{200b}",
    "\u{200d}",
    "\u{2028}",
    "\u{feff}",
    "\u{feff}a",
    // Beside the surrogates, and non-characters.
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{ffff}",
    // Planes above the first.
    "\u{10000}",
    "\u{1d11e}",
    "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{10ffff}",
];

/// The types of the samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Types {
    pub(super) account: AggregateTypeId,
    pub(super) order: AggregateTypeId,
    pub(super) opened: EventTypeId,
    pub(super) changed: EventTypeId,
}

/// An engine that is open on a store with the types of the samples.
#[derive(Debug)]
pub(super) struct Sample<E> {
    engine: Arc<E>,
    pub(super) types: Types,
}

impl<E> Deref for Sample<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.engine
    }
}

/// Derived, it would ask for a `Clone` engine.
impl<E> Clone for Sample<E> {
    fn clone(&self) -> Self {
        Self { engine: Arc::clone(&self.engine), types: self.types }
    }
}

impl<E: StorageEngine> Sample<E> {
    pub(super) async fn open(harness: &impl Harness<Engine = E>) -> Self {
        let engine = Arc::new(harness.open().await);
        let names = names(&["account", "order"], &["opened", "changed"]);
        let catalog = engine.define_types(&names).await.unwrap();
        let types = Types {
            account: id_of(&catalog.aggregates, "account"),
            order: id_of(&catalog.aggregates, "order"),
            opened: id_of(&catalog.events, "opened"),
            changed: id_of(&catalog.events, "changed"),
        };
        Self { engine, types }
    }

    pub(super) fn draft(&self) -> Draft {
        Draft { types: self.types, changes: Changes::default(), current: 0 }
    }

    pub(super) async fn new_id(&self) -> AggregateId {
        self.reserve_ids(1).await.unwrap().first
    }

    pub(super) async fn new_ids<const N: usize>(&self) -> [AggregateId; N] {
        let first = self.reserve_ids(u32::try_from(N).unwrap()).await.unwrap().first.get();
        std::array::from_fn(|index| AggregateId::new(first + index as i64))
    }

    /// A new account with so many events.
    pub(super) async fn account(&self, events: usize) -> AggregateId {
        let id = self.new_id().await;
        self.write(self.draft().create(id).events(events)).await;
        id
    }

    /// A new account with a key and one event.
    pub(super) async fn account_with_key(&self, to: &str) -> AggregateId {
        let id = self.new_id().await;
        self.write(self.draft().create(id).key(to).events(1)).await;
        id
    }

    pub(super) async fn try_write(&self, draft: Draft) -> Result<CommitOutcome, CommitError> {
        self.commit(&draft.changes()).await
    }

    /// Commits what nothing stands against.
    pub(super) async fn write(&self, draft: Draft) -> Committed {
        match self.try_write(draft).await.unwrap() {
            CommitOutcome::Committed { last_position, committed_at } => {
                Committed { last_position, committed_at }
            }
            repeated @ CommitOutcome::Repeated { .. } => {
                panic!("nothing was committed before, but: {repeated:?}")
            }
        }
    }

    /// A new account whose event is recorded after `time`.
    pub(super) async fn account_after(&self, time: Timestamp) -> Committed {
        loop {
            let id = self.new_id().await;
            let committed = self.write(self.draft().create(id).events(1)).await;
            if committed.committed_at > time {
                return committed;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn load_one(&self, request: Load) -> Option<LoadedAggregate> {
        let mut answers = self.load(&[request]).await.unwrap();
        assert_eq!(answers.len(), 1, "one request has one answer");
        answers.remove(0)
    }

    /// The aggregate with all of its events.
    pub(super) async fn whole(&self, id: AggregateId) -> LoadedAggregate {
        self.load_one(whole(id)).await.unwrap()
    }

    pub(super) async fn version(&self, id: AggregateId) -> i64 {
        self.whole(id).await.version.get()
    }

    pub(super) async fn key_of(&self, id: AggregateId) -> Option<NaturalKey> {
        self.whole(id).await.key
    }

    pub(super) async fn holder(&self, name: &str) -> Option<AggregateId> {
        self.find_by_key(self.types.account, &key(name)).await.unwrap()
    }

    /// All events that the filter lets through, read in pages of `limit`.
    pub(super) async fn pages(&self, filter: EventFilter, limit: u32) -> Vec<StoredEvent> {
        let head = self.head().await.unwrap();
        let (mut events, mut after) = (Vec::new(), Position::START);
        while after < head {
            let page = self.read_log(&LogRead { filter: filter.clone(), after, limit }).await.unwrap();
            assert!(
                page.events.len() <= limit as usize,
                "a page has at most as many events as the limit says"
            );
            assert!(page.end > after, "a page before the head makes progress");
            after = page.end;
            events.extend(page.events);
        }
        events
    }

    /// The whole log.
    pub(super) async fn log(&self) -> Vec<StoredEvent> {
        self.pages(EventFilter::default(), 1000).await
    }

    /// Everything that can be seen of accounts, orders and their events.
    pub(super) async fn everything(&self) -> (Vec<Option<LoadedAggregate>>, Vec<StoredEvent>) {
        let mut ids = self.aggregate_ids(self.types.account, None, u32::MAX).await.unwrap();
        ids.extend(self.aggregate_ids(self.types.order, None, u32::MAX).await.unwrap());
        let requests: Vec<_> = ids.into_iter().map(|id| with_snapshot(id, SnapshotUse::Any)).collect();
        (self.load(&requests).await.unwrap(), self.log().await)
    }
}

/// What a commit said that wrote something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) last_position: Option<Position>,
    pub(super) committed_at: Timestamp,
}

/// Changes in the making. Most methods are about the aggregate that was named last; one that gets nothing is
/// required.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    types: Types,
    changes: Changes,
    current: usize,
}

impl Draft {
    /// A new account.
    pub(super) fn create(self, id: AggregateId) -> Self {
        let account = self.types.account;
        self.create_of(account, id)
    }

    /// A new aggregate of this type.
    pub(super) fn create_of(self, type_id: AggregateTypeId, id: AggregateId) -> Self {
        self.aggregate(type_id, id, Expected::New, Sequence::NONE)
    }

    /// An account that should be at this version.
    pub(super) fn at(self, id: AggregateId, version: i64) -> Self {
        let account = self.types.account;
        self.at_of(account, id, version)
    }

    /// An aggregate of this type that should be at this version.
    pub(super) fn at_of(self, type_id: AggregateTypeId, id: AggregateId, version: i64) -> Self {
        let version = Sequence::new(version);
        self.aggregate(type_id, id, Expected::At(version), version)
    }

    fn aggregate(
        mut self,
        type_id: AggregateTypeId,
        id: AggregateId,
        expected: Expected,
        version: Sequence,
    ) -> Self {
        self.current = self.changes.aggregates.len();
        self.changes.aggregates.push(AggregateChange {
            id,
            type_id,
            expected,
            version,
            key: KeyChange::Keep,
        });
        self
    }

    /// Goes on with an aggregate that was named before.
    pub(super) fn again(mut self, id: AggregateId) -> Self {
        self.current = self.changes.aggregates.iter().position(|change| change.id == id).unwrap();
        self
    }

    fn current(&mut self) -> &mut AggregateChange {
        &mut self.changes.aggregates[self.current]
    }

    /// The next event.
    pub(super) fn event(mut self, edit: impl FnOnce(&mut NewEvent)) -> Self {
        let types = self.types;
        let change = self.current();
        change.version = change.version.next();
        let mut event = NewEvent {
            aggregate_id: change.id,
            aggregate_type: change.type_id,
            event_type: if change.version == Sequence::new(1) { types.opened } else { types.changed },
            sequence: change.version,
            time: time(change.version.get()),
            reference: None,
            metadata: None,
            payload: json(&change.version.to_string()),
        };
        edit(&mut event);
        self.changes.events.push(event);
        self
    }

    /// The next events.
    pub(super) fn events(self, count: usize) -> Self {
        (0..count).fold(self, |draft, _| draft.event(|_| ()))
    }

    /// Gives a key to an aggregate that has none.
    pub(super) fn key(mut self, to: &str) -> Self {
        self.current().key = KeyChange::Set { from: None, to: key(to) };
        self
    }

    /// Changes the key of an aggregate.
    pub(super) fn rename(mut self, from: &str, to: &str) -> Self {
        self.current().key = KeyChange::Set { from: Some(key(from)), to: key(to) };
        self
    }

    /// A snapshot of the shape [`SHAPE`] at this sequence.
    pub(super) fn snapshot(self, sequence: i64, state: &str) -> Self {
        self.snapshot_of(SHAPE, sequence, json(state))
    }

    pub(super) fn snapshot_of(mut self, fingerprint: Fingerprint, sequence: i64, payload: Payload) -> Self {
        let aggregate_id = self.current().id;
        let sequence = Sequence::new(sequence);
        self.changes.snapshots.push(NewSnapshot { aggregate_id, sequence, fingerprint, payload });
        self
    }

    /// Makes it once.
    pub(super) fn once(mut self, key: &str, receipt: &str) -> Self {
        self.changes.idempotency = Some(Idempotency { key: key.to_owned(), receipt: receipt.to_owned() });
        self
    }

    pub(super) fn changes(mut self) -> Changes {
        self.changes.aggregates.sort_by_key(|change| change.id);
        self.changes
    }
}

/// Commits all of these at the same time, through the engines in turns; the answers are in the same order.
pub(super) async fn commit_at_once<E: StorageEngine>(
    engines: [&Sample<E>; 2],
    drafts: impl IntoIterator<Item = Draft>,
) -> Vec<Result<CommitOutcome, CommitError>> {
    let drafts: Vec<_> = drafts.into_iter().collect();
    let start = Arc::new(Barrier::new(drafts.len()));
    let commits: Vec<_> = drafts
        .into_iter()
        .zip(engines.into_iter().cycle().cloned())
        .map(|(draft, engine)| {
            let start = Arc::clone(&start);
            tokio::spawn(async move {
                start.wait().await;
                engine.try_write(draft).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for commit in commits {
        answers.push(commit.await.unwrap());
    }
    answers
}

pub(super) fn names(aggregates: &[&str], events: &[&str]) -> TypeNames {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    TypeNames { aggregates: owned(aggregates), events: owned(events) }
}

pub(super) fn id_of<Id: Copy>(types: &[(Id, String)], name: &str) -> Id {
    let mut found = types.iter().filter(|(_, known)| known == name).map(|(id, _)| *id);
    let id = found.next().unwrap_or_else(|| panic!("there is no type {name:?}"));
    assert!(found.next().is_none(), "there are two types {name:?}");
    id
}

pub(super) fn key(text: &str) -> NaturalKey {
    NaturalKey::new(text).unwrap()
}

pub(super) fn json(text: &str) -> Payload {
    Payload::encode(text).unwrap()
}

/// A time some seconds and microseconds after the beginning of 2020.
pub(super) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_577_836_800 + seconds) * 1_000_000 + 123_456).unwrap()
}

/// Loads all events of an aggregate, without a snapshot.
pub(super) fn whole(id: AggregateId) -> Load {
    with_snapshot(id, SnapshotUse::Ignore)
}

pub(super) fn whole_by_key(type_id: AggregateTypeId, name: &str) -> Load {
    let target = LoadTarget::Key(type_id, key(name));
    Load { target, snapshot: SnapshotUse::Ignore, after: Sequence::NONE, limit: u32::MAX }
}

pub(super) fn with_snapshot(id: AggregateId, snapshot: SnapshotUse) -> Load {
    Load { target: LoadTarget::Id(id), snapshot, after: Sequence::NONE, limit: u32::MAX }
}

pub(super) fn sequences(events: &[StoredEvent]) -> Vec<i64> {
    events.iter().map(|event| event.sequence.get()).collect()
}

/// `first`, `first + 1` … `last`.
pub(super) fn numbers(first: i64, last: i64) -> Vec<i64> {
    (first..=last).collect()
}

#[track_caller]
pub(super) fn assert_conflict(answer: &Result<CommitOutcome, CommitError>, id: AggregateId, version: i64) {
    match answer {
        Err(CommitError::Conflict { aggregate, actual }) => {
            assert_eq!(
                (*aggregate, *actual),
                (id, Some(Sequence::new(version))),
                "aggregate and its version"
            );
        }
        other => panic!("a conflict was expected, not {other:?}"),
    }
}

#[track_caller]
pub(super) fn assert_unknown(answer: &Result<CommitOutcome, CommitError>, id: AggregateId) {
    match answer {
        Err(CommitError::UnknownAggregate(aggregate)) => assert_eq!(*aggregate, id),
        other => panic!("an unknown aggregate was expected, not {other:?}"),
    }
}

#[track_caller]
pub(super) fn assert_duplicate_key(answer: &Result<CommitOutcome, CommitError>, id: AggregateId) {
    match answer {
        Err(CommitError::DuplicateKey(aggregate)) => assert_eq!(*aggregate, id),
        other => panic!("a duplicate key was expected, not {other:?}"),
    }
}

/// How many commits were made.
pub(super) fn winners(answers: &[Result<CommitOutcome, CommitError>]) -> usize {
    answers.iter().filter(|answer| matches!(answer, Ok(CommitOutcome::Committed { .. }))).count()
}
