//! Rows to evercore's types. What cannot be is a typed error, never a panic.

use evercore::{
    AggregateId, AggregateTypeId, Codec, EventTypeId, NaturalKey, Payload, Position, Sequence,
    engine::{CommitOutcome, LoadedSnapshot, PastCommit, StoredEvent, StoredSnapshot, Timestamp},
};
use sqlx::{ColumnIndex, Row as _, ValueRef as _, postgres::PgRow};

use crate::{answer::Answer, error::Problem, mark::Mark, time};

/// One row of a load.
#[derive(Debug)]
pub(crate) enum LoadRow {
    /// An aggregate.
    Aggregate(AggregateRow),
    /// One of the events of an aggregate.
    Event(StoredEvent),
}

/// An aggregate's own row.
#[derive(Debug)]
pub(crate) struct AggregateRow {
    pub(crate) id: AggregateId,
    pub(crate) type_id: AggregateTypeId,
    pub(crate) key: Option<NaturalKey>,
    pub(crate) version: Sequence,
    pub(crate) snapshot: LoadedSnapshot,
}

/// Of `load`: which request it answers, counted from 1, and with what.
pub(crate) fn loaded(row: &PgRow) -> Result<(i64, LoadRow), Problem> {
    let place = row.try_get(0)?;
    let id = AggregateId::new(row.try_get(1)?);
    let type_id = AggregateTypeId::new(row.try_get::<i32, _>(2)?.into());
    let Some(position) = row.try_get(9)? else {
        let key = row.try_get::<Option<String>, _>(3)?.map(natural_key).transpose()?;
        let version = Sequence::new(row.try_get(4)?);
        let aggregate = AggregateRow { id, type_id, key, version, snapshot: snapshot(row)? };
        return Ok((place, LoadRow::Aggregate(aggregate)));
    };
    let event = StoredEvent {
        position: Position::new(position),
        aggregate_id: id,
        aggregate_type: type_id,
        event_type: EventTypeId::new(row.try_get::<i32, _>(13)?.into()),
        sequence: Sequence::new(row.try_get(10)?),
        time: timestamp(row, 11)?,
        recorded_at: timestamp(row, 12)?,
        reference: row.try_get(14)?,
        metadata: row.try_get(15)?,
        payload: payload(row, 7)?,
    };
    Ok((place, LoadRow::Event(event)))
}

fn snapshot(row: &PgRow) -> Result<LoadedSnapshot, Problem> {
    let Some(sequence) = row.try_get(5)? else { return Ok(LoadedSnapshot::None) };
    Ok(match row.try_get(6)? {
        true => LoadedSnapshot::Found(StoredSnapshot {
            sequence: Sequence::new(sequence),
            payload: payload(row, 7)?,
        }),
        false => LoadedSnapshot::Misfit,
    })
}

/// Of a page of the log; `None` for the row that says what is true of all.
pub(crate) fn event(row: &PgRow) -> Result<Option<StoredEvent>, Problem> {
    let Some(position) = row.try_get(1)? else { return Ok(None) };
    Ok(Some(StoredEvent {
        position: Position::new(position),
        aggregate_id: AggregateId::new(row.try_get(2)?),
        aggregate_type: AggregateTypeId::new(row.try_get::<i32, _>(3)?.into()),
        event_type: EventTypeId::new(row.try_get::<i32, _>(4)?.into()),
        sequence: Sequence::new(row.try_get(5)?),
        time: timestamp(row, 6)?,
        recorded_at: timestamp(row, 7)?,
        reference: row.try_get(8)?,
        metadata: row.try_get(9)?,
        payload: payload(row, 10)?,
    }))
}

/// Of `commit`.
pub(crate) fn outcome(row: &PgRow) -> Result<CommitOutcome, Problem> {
    Ok(match row.try_get("repeated")? {
        true => CommitOutcome::Repeated(past_commit(row)?),
        false => CommitOutcome::Committed {
            last_position: position(row, "last_position")?,
            committed_at: timestamp(row, "committed_at")?,
        },
    })
}

/// Of `find_commit`, and of `commit` when it finds one.
pub(crate) fn past_commit(row: &PgRow) -> Result<PastCommit, Problem> {
    Ok(PastCommit {
        receipt: row.try_get("receipt")?,
        last_position: position(row, "last_position")?,
        committed_at: timestamp(row, "committed_at")?,
    })
}

fn position(row: &PgRow, column: &str) -> Result<Option<Position>, Problem> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Position::new))
}

/// How far a server lets its log be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// As far as it is settled: the log is written there.
    Settled,
    /// Up to here: it is a copy.
    Published(Position),
}

/// Of each statement that reads the log, in the first column of the first row; `None` when what was read before is not there.
pub(crate) fn limit(answer: &impl Answer) -> Result<Option<Limit>, Problem> {
    Ok(match answer.first().ok_or(Problem::NoAnswer)?.try_get(0)? {
        None => Some(Limit::Settled),
        Some(-1_i64) => None,
        Some(position) => Some(Limit::Published(Position::new(position))),
    })
}

/// Of `head`.
pub(crate) fn head(row: &PgRow) -> Result<Mark, Problem> {
    mark(row, Position::new(row.try_get("position")?))
}

/// The event that the rest of the row names.
pub(crate) fn mark(row: &PgRow, position: Position) -> Result<Mark, Problem> {
    let aggregate = AggregateId::new(row.try_get("aggregate_id")?);
    let recorded_at = match row.try_get_raw("recorded_at")?.is_null() {
        true => None,
        false => Some(timestamp(row, "recorded_at")?),
    };
    Ok(Mark { position, aggregate, sequence: Sequence::new(row.try_get("sequence")?), recorded_at })
}

/// Of `codec, payload`, which begin at `index`.
fn payload(row: &PgRow, index: usize) -> Result<Payload, Problem> {
    Ok(Payload::new(Codec::new(row.try_get(index)?), row.try_get(index + 1)?))
}

pub(crate) fn timestamp(row: &PgRow, index: impl ColumnIndex<PgRow>) -> Result<Timestamp, Problem> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Err(Problem::Impossible { what: "a time", value: "NULL".to_owned() });
    }
    let micros = <i64 as sqlx::Decode<sqlx::Postgres>>::decode(value).map_err(sqlx::Error::Decode)?;
    time::from_server(micros)
        .ok_or_else(|| Problem::Impossible { what: "a time", value: format!("{micros} µs after 2000") })
}

fn natural_key(key: String) -> Result<NaturalKey, Problem> {
    NaturalKey::new(key.as_str()).map_err(|_| Problem::Impossible { what: "a natural key", value: key })
}
