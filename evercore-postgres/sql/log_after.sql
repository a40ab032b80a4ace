-- What `readable` says is explained in head.sql.
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
    readable.position,
    event.*,
    CASE WHEN readable.position IS NULL THEN pg_postmaster_start_time() END AS server_started
FROM readable
LEFT JOIN LATERAL (
    SELECT
        position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
        codec, payload
    FROM {schema}.events
    WHERE position > $1
        AND position <= coalesce(readable.position, 9223372036854775807)
    ORDER BY position
    LIMIT $2
) AS event ON true
