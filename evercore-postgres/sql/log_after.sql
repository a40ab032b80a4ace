-- The first row says what is true of the whole answer, which costs less than to say it with each event; what `readable`
-- says is explained in head.sql.
WITH readable AS MATERIALIZED (
    SELECT CASE
        WHEN $3 = 0 OR log_limit.position < $3 THEN log_limit.position
        WHEN EXISTS (
            SELECT FROM {schema}.events AS read
            WHERE read.position = $3
                AND read.aggregate_id = $4
                AND read.sequence = $5
                AND read.recorded_at = $6
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
    WHERE position > $1
        AND position <= coalesce((SELECT readable.position FROM readable), 9223372036854775807)
    ORDER BY position
    LIMIT $2
)
