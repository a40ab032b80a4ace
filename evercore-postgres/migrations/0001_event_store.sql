-- Keys and names are compared byte by byte (COLLATE "C"), so that an update of the system's
-- collations cannot damage their indexes.

CREATE TABLE {schema}.store (
    only_row boolean NOT NULL DEFAULT true,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    next_aggregate_id bigint NOT NULL DEFAULT 1,
    CONSTRAINT store_only_row PRIMARY KEY (only_row),
    CONSTRAINT store_has_one_row CHECK (only_row),
    CONSTRAINT store_next_aggregate_id_is_positive CHECK (next_aggregate_id >= 1)
);
INSERT INTO {schema}.store DEFAULT VALUES;
COMMENT ON TABLE {schema}.store IS 'One row about the event store as a whole.';
COMMENT ON COLUMN {schema}.store.id IS 'Tells this store from every other one.';
COMMENT ON COLUMN {schema}.store.next_aggregate_id IS 'The first aggregate id that nobody has reserved.';

CREATE TABLE {schema}.aggregate_types (
    id integer GENERATED ALWAYS AS IDENTITY,
    name text COLLATE "C" NOT NULL,
    CONSTRAINT aggregate_types_id PRIMARY KEY (id),
    CONSTRAINT aggregate_types_name UNIQUE (name)
);
COMMENT ON TABLE {schema}.aggregate_types IS 'Names of aggregate types, and the numbers that stand for them.';

CREATE TABLE {schema}.event_types (
    id integer GENERATED ALWAYS AS IDENTITY,
    name text COLLATE "C" NOT NULL,
    CONSTRAINT event_types_id PRIMARY KEY (id),
    CONSTRAINT event_types_name UNIQUE (name)
);
COMMENT ON TABLE {schema}.event_types IS 'Names of event types, and the numbers that stand for them.';

-- The free space lets the version of a row move on within its page. Types are no foreign key: every commit
-- would lock the row of its type, and commits that overlap would have to share that lock.
CREATE TABLE {schema}.aggregates (
    id bigint NOT NULL,
    version bigint NOT NULL,
    type_id integer NOT NULL,
    natural_key text COLLATE "C",
    CONSTRAINT aggregates_id PRIMARY KEY (id),
    CONSTRAINT aggregates_id_is_positive CHECK (id >= 1),
    CONSTRAINT aggregates_version_is_not_negative CHECK (version >= 0),
    CONSTRAINT aggregates_natural_key_is_short CHECK (octet_length(natural_key) BETWEEN 1 AND 255)
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX aggregates_natural_key ON {schema}.aggregates (type_id, natural_key) WHERE natural_key IS NOT NULL;
CREATE INDEX aggregates_by_type ON {schema}.aggregates (type_id, id);
COMMENT ON TABLE {schema}.aggregates IS 'One row for each aggregate.';
COMMENT ON COLUMN {schema}.aggregates.version IS 'The sequence of its last event; 0 when it has none.';
COMMENT ON COLUMN {schema}.aggregates.type_id IS 'Its type, one of aggregate_types.';
COMMENT ON COLUMN {schema}.aggregates.natural_key IS 'Its name in the application, unique within its type.';

-- Positions come from nextval within the INSERT alone: readers rely on the lock that an INSERT takes
-- before it draws one. There are no foreign keys: they cost half of the throughput of bulk appends.
CREATE TABLE {schema}.events (
    position bigint GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME {schema}.events_position INCREMENT 1 CACHE 1 NO CYCLE),
    aggregate_id bigint NOT NULL,
    sequence bigint NOT NULL,
    time timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    aggregate_type_id integer NOT NULL,
    event_type_id integer NOT NULL,
    codec smallint NOT NULL,
    payload bytea NOT NULL,
    reference text,
    metadata text,
    CONSTRAINT events_position_is_unique PRIMARY KEY (position),
    CONSTRAINT events_sequence_is_unique UNIQUE (aggregate_id, sequence)
);
-- For readers of rare events. It has the types of the aggregate first, because readers ask for all events of one, too.
CREATE INDEX events_by_type ON {schema}.events (aggregate_type_id, event_type_id, position);
COMMENT ON TABLE {schema}.events IS 'The log: all events, in the order of their positions. Rows are never changed. See the view event_log.';
COMMENT ON COLUMN {schema}.events.position IS 'Place in the log. Gaps are commits that were rolled back. A higher position can become visible before a lower one.';
COMMENT ON COLUMN {schema}.events.aggregate_id IS 'The aggregate to which it happened, one of aggregates.';
COMMENT ON COLUMN {schema}.events.sequence IS 'Place among the events of its aggregate: 1, 2, 3, without gaps.';
COMMENT ON COLUMN {schema}.events.time IS 'When it happened, as the application says.';
COMMENT ON COLUMN {schema}.events.recorded_at IS 'When it was stored, by the clock of the database.';
COMMENT ON COLUMN {schema}.events.aggregate_type_id IS 'The type of its aggregate, one of aggregate_types; here too, so that readers of the log need no join.';
COMMENT ON COLUMN {schema}.events.event_type_id IS 'Its own type, one of event_types.';
COMMENT ON COLUMN {schema}.events.codec IS 'How the payload is encoded; 1 is JSON in UTF-8.';
COMMENT ON COLUMN {schema}.events.payload IS 'The encoded event.';
COMMENT ON COLUMN {schema}.events.reference IS 'Free text of the application.';
COMMENT ON COLUMN {schema}.events.metadata IS 'A JSON object of the application.';

-- Events of rare types: those of each pair of types, by the index. The first `page_size` of a pair are enough. That
-- is planned for each pair anew, because of some there are fewer events than of others, and for an index that is in
-- memory; nothing is compiled.
CREATE FUNCTION {schema}.events_of_types_v1(
    after_position bigint,
    last_position bigint,
    aggregate_types integer[],
    event_types integer[],
    page_size bigint
) RETURNS SETOF {schema}.events LANGUAGE plpgsql STABLE ROWS 100
SET enable_seqscan = off SET jit = off SET random_page_cost = 1 AS $function$
DECLARE
    aggregate_type integer := 0;
    event_type integer;
BEGIN
    LOOP
        SELECT CASE
            WHEN aggregate_types IS NOT NULL
            THEN (SELECT min(given.id) FROM unnest(aggregate_types) AS given (id) WHERE given.id > aggregate_type)
            ELSE (
                SELECT min(event.aggregate_type_id)
                FROM {schema}.events AS event
                WHERE event.aggregate_type_id > aggregate_type
            )
        END INTO aggregate_type;
        EXIT WHEN aggregate_type IS NULL;
        event_type := 0;
        LOOP
            SELECT CASE
                WHEN event_types IS NOT NULL
                THEN (SELECT min(given.id) FROM unnest(event_types) AS given (id) WHERE given.id > event_type)
                ELSE (
                    SELECT min(event.event_type_id)
                    FROM {schema}.events AS event
                    WHERE event.aggregate_type_id = aggregate_type AND event.event_type_id > event_type
                )
            END INTO event_type;
            EXIT WHEN event_type IS NULL;
            RETURN QUERY EXECUTE
                'SELECT event.*
                FROM {schema}.events AS event
                WHERE event.aggregate_type_id = $1
                    AND event.event_type_id = $2
                    AND event.position > $3
                    AND event.position <= $4
                ORDER BY event.position
                LIMIT $5'
            USING aggregate_type, event_type, after_position, last_position, page_size;
        END LOOP;
    END LOOP;
END;
$function$;
COMMENT ON FUNCTION {schema}.events_of_types_v1 IS 'The events of rare types in a stretch of the log, in no order.';

CREATE TABLE {schema}.snapshots (
    aggregate_id bigint NOT NULL,
    sequence bigint NOT NULL,
    fingerprint bigint NOT NULL,
    codec smallint NOT NULL,
    payload bytea NOT NULL,
    CONSTRAINT snapshots_aggregate_id PRIMARY KEY (aggregate_id),
    CONSTRAINT snapshots_aggregate_exists FOREIGN KEY (aggregate_id) REFERENCES {schema}.aggregates (id)
) WITH (fillfactor = 85);
COMMENT ON TABLE {schema}.snapshots IS 'The newest stored state of an aggregate. Rows can be deleted at any time.';
COMMENT ON COLUMN {schema}.snapshots.sequence IS 'The last event that went into the state.';
COMMENT ON COLUMN {schema}.snapshots.fingerprint IS 'The shape of the state. A snapshot of another shape is not used.';
COMMENT ON COLUMN {schema}.snapshots.codec IS 'How the payload is encoded; 1 is JSON in UTF-8.';
COMMENT ON COLUMN {schema}.snapshots.payload IS 'The encoded state.';

CREATE TABLE {schema}.idempotency_keys (
    key text COLLATE "C" NOT NULL,
    last_position bigint,
    committed_at timestamptz NOT NULL,
    receipt text NOT NULL,
    CONSTRAINT idempotency_keys_key PRIMARY KEY (key)
) WITH (fillfactor = 85);
COMMENT ON TABLE {schema}.idempotency_keys IS 'Commits that are made only once, by the key that the application gave them.';
COMMENT ON COLUMN {schema}.idempotency_keys.last_position IS 'The position of the last event of the commit.';
COMMENT ON COLUMN {schema}.idempotency_keys.receipt IS 'What the commit wrote.';

CREATE VIEW {schema}.event_log AS
SELECT
    event.position,
    aggregate_type.name AS aggregate_type,
    event.aggregate_id,
    aggregate.natural_key,
    event.sequence,
    event_type.name AS event_type,
    event.time,
    event.recorded_at,
    event.reference,
    event.metadata,
    CASE event.codec WHEN 1 THEN convert_from(event.payload, 'UTF8') ELSE event.payload::text END AS payload
FROM {schema}.events AS event
JOIN {schema}.aggregates AS aggregate ON aggregate.id = event.aggregate_id
JOIN {schema}.aggregate_types AS aggregate_type ON aggregate_type.id = event.aggregate_type_id
JOIN {schema}.event_types AS event_type ON event_type.id = event.event_type_id;
COMMENT ON VIEW {schema}.event_log IS 'The events for people: with names, and with payloads that can be read.';
