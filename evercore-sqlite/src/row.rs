//! Rows and values to evercore's types. What cannot be is a typed error, never a panic.

use evercore::{
    AggregateId, AggregateTypeId, Codec, EventTypeId, Fingerprint, NaturalKey, Payload, Position, Sequence,
    engine::{
        EventFilter, EventIdentity, FencingToken, Owner, StoredEvent, StoredFailedDelivery, StoredSnapshot,
        StoredSubscription, Timestamp,
    },
};
use rusqlite::Row;

use crate::{
    driver::{Value, ValueRef},
    error::Problem,
};

/// An aggregate's own row.
#[derive(Debug)]
pub(crate) struct AggregateRow {
    pub(crate) id: AggregateId,
    pub(crate) type_id: AggregateTypeId,
    pub(crate) key: Option<NaturalKey>,
    pub(crate) version: Sequence,
}

/// Of `id, type_id, natural_key, version`.
pub(crate) fn aggregate(row: &Row<'_>) -> Result<AggregateRow, Problem> {
    Ok(AggregateRow {
        id: AggregateId::new(row.get(0)?),
        type_id: AggregateTypeId::new(row.get(1)?),
        key: row.get::<_, Option<String>>(2)?.map(natural_key).transpose()?,
        version: Sequence::new(row.get(3)?),
    })
}

/// Of `position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference,
/// metadata, codec, payload`.
pub(crate) fn event(row: &Row<'_>) -> Result<StoredEvent, Problem> {
    Ok(StoredEvent {
        position: Position::new(row.get(0)?),
        aggregate_id: AggregateId::new(row.get(1)?),
        aggregate_type: AggregateTypeId::new(row.get(2)?),
        event_type: EventTypeId::new(row.get(3)?),
        sequence: Sequence::new(row.get(4)?),
        time: time("the time of an event", row.get(5)?)?,
        recorded_at: time("the recorded time of an event", row.get(6)?)?,
        reference: row.get(7)?,
        metadata: row.get(8)?,
        payload: payload(row, 9)?,
    })
}

/// The position alone of such a row.
pub(crate) fn position(row: &Row<'_>) -> Result<Position, Problem> {
    Ok(Position::new(row.get(0)?))
}

/// Whether a filter lets such a row through. The row need not be read for that.
pub(crate) fn is_allowed(row: &Row<'_>, filter: &EventFilter) -> Result<bool, Problem> {
    let aggregate_type = match &filter.aggregate_types {
        Some(types) => types.contains(&AggregateTypeId::new(row.get(2)?)),
        None => true,
    };
    let event_type = match &filter.event_types {
        Some(types) => types.contains(&EventTypeId::new(row.get(3)?)),
        None => true,
    };
    Ok(aggregate_type && event_type)
}

/// Of `sequence, fingerprint, codec, payload`.
pub(crate) fn snapshot(row: &Row<'_>) -> Result<(Fingerprint, StoredSnapshot), Problem> {
    let sequence = Sequence::new(row.get(0)?);
    Ok((Fingerprint::new(row.get(1)?), StoredSnapshot { sequence, payload: payload(row, 2)? }))
}

/// Who may move the cursor of a subscription, and where it is.
#[derive(Debug)]
pub(crate) struct Ownership {
    pub(crate) token: FencingToken,
    pub(crate) owner: Option<String>,
    pub(crate) paused: bool,
    pub(crate) cursor: Position,
}

/// Of `name, filter, cursor, anchor_position, anchor_aggregate_id, anchor_sequence, anchor_recorded_at, paused, failure,
/// token, owner, expires_at, defined_at, moved_at`.
pub(crate) fn subscription(row: &Row<'_>) -> Result<StoredSubscription, Problem> {
    Ok(StoredSubscription {
        name: row.get(0)?,
        filter: row.get(1)?,
        cursor: Position::new(row.get(2)?),
        anchor: anchor(row)?,
        paused: row.get(7)?,
        failure: row.get(8)?,
        token: FencingToken::new(row.get(9)?),
        owner: owner(row)?,
        defined_at: time("the time of a subscription", row.get(12)?)?,
        moved_at: time("the time of a checkpoint", row.get(13)?)?,
    })
}

fn anchor(row: &Row<'_>) -> Result<Option<EventIdentity>, Problem> {
    let Some(position) = row.get::<_, Option<i64>>(3)? else { return Ok(None) };
    Ok(Some(EventIdentity {
        position: Position::new(position),
        aggregate_id: AggregateId::new(row.get(4)?),
        sequence: Sequence::new(row.get(5)?),
        recorded_at: time("the time of an anchor", row.get(6)?)?,
    }))
}

fn owner(row: &Row<'_>) -> Result<Option<Owner>, Problem> {
    let Some(name) = row.get(10)? else { return Ok(None) };
    Ok(Some(Owner { name, expires_at: time("the end of a lease", row.get(11)?)? }))
}

/// Of `position, attempts, error, failed_at`.
pub(crate) fn failed_delivery(row: &Row<'_>) -> Result<StoredFailedDelivery, Problem> {
    Ok(StoredFailedDelivery {
        position: Position::new(row.get(0)?),
        attempts: row.get(1)?,
        error: row.get(2)?,
        failed_at: time("the time of a failed delivery", row.get(3)?)?,
    })
}

/// Of `codec, payload`, which begin at `index`.
fn payload(row: &Row<'_>, index: usize) -> Result<Payload, Problem> {
    let codec = Codec::new(row.get(index)?);
    match row.get_ref(index + 1)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(Payload::new(codec, bytes.to_vec())),
        other => Err(impossible("a payload", other)),
    }
}

pub(crate) fn time(what: &'static str, micros: i64) -> Result<Timestamp, Problem> {
    Timestamp::from_micros(micros).ok_or_else(|| impossible(what, micros))
}

pub(crate) fn integer(what: &'static str, value: &Value) -> Result<i64, Problem> {
    match value {
        Value::Integer(number) => Ok(*number),
        other => Err(impossible(what, other)),
    }
}

pub(crate) fn text(what: &'static str, value: Value) -> Result<String, Problem> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(impossible(what, other)),
    }
}

fn natural_key(key: String) -> Result<NaturalKey, Problem> {
    NaturalKey::new(key.as_str()).map_err(|_| impossible("a natural key", key))
}

fn impossible(what: &'static str, value: impl std::fmt::Debug) -> Problem {
    Problem::Impossible { what, value: format!("{value:?}") }
}
