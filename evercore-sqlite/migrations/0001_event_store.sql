-- A store lives in the database of its application: every name starts with evercore_, except the view for people.
-- Times are microseconds since 1970-01-01T00:00:00Z.

CREATE TABLE evercore_aggregate_types (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE evercore_event_types (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- One row: the first aggregate id that nobody has reserved.
CREATE TABLE evercore_next_aggregate_id (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    id INTEGER NOT NULL CHECK (id >= 1)
) STRICT;
INSERT INTO evercore_next_aggregate_id (only_row, id) VALUES (1, 1);

CREATE TABLE evercore_aggregates (
    id INTEGER PRIMARY KEY CHECK (id >= 1),
    type_id INTEGER NOT NULL REFERENCES evercore_aggregate_types (id),
    natural_key TEXT CHECK (length(CAST(natural_key AS BLOB)) BETWEEN 1 AND 255),
    version INTEGER NOT NULL CHECK (version >= 0)
) STRICT;
CREATE INDEX evercore_aggregates_by_type ON evercore_aggregates (type_id);
CREATE UNIQUE INDEX evercore_aggregates_by_key ON evercore_aggregates (type_id, natural_key)
    WHERE natural_key IS NOT NULL;

-- The aggregate's type stands on the event too: readers of the log filter by it without a join.
-- AUTOINCREMENT: a position is never used again, whatever is deleted.
-- A payload is text where it is JSON, so that people can read it, and bytes otherwise.
CREATE TABLE evercore_events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    aggregate_id INTEGER NOT NULL REFERENCES evercore_aggregates (id),
    aggregate_type_id INTEGER NOT NULL REFERENCES evercore_aggregate_types (id),
    event_type_id INTEGER NOT NULL REFERENCES evercore_event_types (id),
    sequence INTEGER NOT NULL CHECK (sequence >= 1),
    time INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    reference TEXT,
    metadata TEXT,
    codec INTEGER NOT NULL,
    payload ANY NOT NULL CHECK (typeof(payload) IN ('text', 'blob')),
    UNIQUE (aggregate_id, sequence)
) STRICT;
-- For readers of rare events. Its entries of one pair of types are in the order of positions: an index ends with the row's id.
CREATE INDEX evercore_events_by_type ON evercore_events (aggregate_type_id, event_type_id);

CREATE TABLE evercore_snapshots (
    aggregate_id INTEGER PRIMARY KEY REFERENCES evercore_aggregates (id),
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    fingerprint INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    payload ANY NOT NULL CHECK (typeof(payload) IN ('text', 'blob'))
) STRICT;

CREATE TABLE evercore_idempotency_keys (
    key TEXT PRIMARY KEY NOT NULL,
    receipt TEXT NOT NULL,
    last_position INTEGER,
    committed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX evercore_idempotency_keys_by_time ON evercore_idempotency_keys (committed_at);

-- For people, in the shell: names for types, readable times. An object of this name that is there already stays.
-- The remainders are made positive for times before 1970; a year after 9999 is shown as the number it is.
CREATE VIEW IF NOT EXISTS event_log AS
SELECT
    event.position,
    aggregate_type.name AS aggregate_type,
    event.aggregate_id,
    aggregate.natural_key,
    event.sequence,
    event_type.name AS event_type,
    coalesce(
        strftime('%Y-%m-%dT%H:%M:%S', (event.time - (event.time % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')
            || printf('.%06dZ', (event.time % 1000000 + 1000000) % 1000000),
        event.time
    ) AS time,
    coalesce(
        strftime('%Y-%m-%dT%H:%M:%S', (event.recorded_at - (event.recorded_at % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')
            || printf('.%06dZ', (event.recorded_at % 1000000 + 1000000) % 1000000),
        event.recorded_at
    ) AS recorded_at,
    event.reference,
    event.metadata,
    event.payload
FROM evercore_events AS event
JOIN evercore_aggregates AS aggregate ON aggregate.id = event.aggregate_id
JOIN evercore_aggregate_types AS aggregate_type ON aggregate_type.id = event.aggregate_type_id
JOIN evercore_event_types AS event_type ON event_type.id = event.event_type_id;
