-- The sequences of an aggregate are in the order of the positions, and have the index. What `readable` says is explained
-- in head.sql.
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
    readable.position,
    event.*,
    CASE WHEN readable.position IS NULL THEN pg_postmaster_start_time() END AS server_started
FROM readable
LEFT JOIN LATERAL (
    SELECT
        position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
        codec, payload
    FROM {schema}.events
    WHERE aggregate_id = $10
        AND position > $1
        AND position <= least($2, readable.position)
        AND ($3::integer[] IS NULL OR aggregate_type_id = ANY ($3))
        AND ($4::integer[] IS NULL OR event_type_id = ANY ($4))
    ORDER BY sequence
    LIMIT $5
) AS event ON true
