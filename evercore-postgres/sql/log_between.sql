-- Where many of the first events are wanted, all are looked at, in their order; where few are, the index of types is used.
-- The first row is that of log_after.sql.
WITH readable AS MATERIALIZED (
    SELECT CASE
        WHEN $6 = 0 OR log_limit.position < $6 THEN log_limit.position
        WHEN EXISTS (
            SELECT FROM {schema}.events AS read
            WHERE read.position = $6
                AND read.aggregate_id = $7
                AND read.sequence = $8
                AND read.recorded_at = $9
        ) THEN log_limit.position
        ELSE -1
    END AS position
    FROM {schema}.log_limit AS log_limit
),
first AS (
    SELECT
        ($3::integer[] IS NULL OR event.aggregate_type_id = ANY ($3))
            AND ($4::integer[] IS NULL OR event.event_type_id = ANY ($4)) AS is_wanted
    FROM {schema}.events AS event
    WHERE event.position > $1
        AND event.position <= least($2, (SELECT readable.position FROM readable))
    ORDER BY event.position
    LIMIT 100
),
wanted AS MATERIALIZED (
    SELECT count(*) FILTER (WHERE first.is_wanted) * 10 < count(*) AS are_few FROM first
)
SELECT
    readable.position AS readable,
    NULL::bigint AS position,
    NULL::bigint AS aggregate_id,
    NULL::integer AS aggregate_type_id,
    NULL::integer AS event_type_id,
    NULL::bigint AS sequence,
    NULL::timestamptz AS time,
    NULL::timestamptz AS recorded_at,
    NULL::text AS reference,
    NULL::text AS metadata,
    NULL::smallint AS codec,
    NULL::bytea AS payload,
    CASE WHEN readable.position IS NULL THEN pg_postmaster_start_time() END AS server_started
FROM readable
UNION ALL
(
    SELECT
        NULL, position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
        codec, payload, NULL
    FROM {schema}.events
    WHERE NOT (SELECT wanted.are_few FROM wanted)
        AND position > $1
        AND position <= least($2, (SELECT readable.position FROM readable))
        AND ($3 IS NULL OR aggregate_type_id = ANY ($3))
        AND ($4 IS NULL OR event_type_id = ANY ($4))
    ORDER BY position
    LIMIT $5
)
UNION ALL
(
    SELECT
        NULL, position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
        codec, payload, NULL
    FROM {schema}.events_of_types_v1($1, least($2, (SELECT readable.position FROM readable)), $3, $4, $5)
    WHERE (SELECT wanted.are_few FROM wanted)
    ORDER BY position
    LIMIT $5
)
