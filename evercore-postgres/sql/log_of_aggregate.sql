-- The sequences of an aggregate are in the order of the positions, and have the index. The first row is that of
-- log_after.sql.
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
    WHERE aggregate_id = $10
        AND position > $1
        AND position <= least($2, (SELECT readable.position FROM readable))
        AND ($3::integer[] IS NULL OR aggregate_type_id = ANY ($3))
        AND ($4::integer[] IS NULL OR event_type_id = ANY ($4))
    ORDER BY sequence
    LIMIT $5
)
