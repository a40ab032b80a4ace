-- The last event, and how many events follow the position $5: when those are as many as there are positions between
-- the two, none is missing. More than a thousand are not counted.
SELECT
    readable.position AS readable,
    CASE WHEN readable.position IS NULL THEN pg_postmaster_start_time() END AS server_started,
    coalesce(last.position, 0) AS position,
    coalesce(last.aggregate_id, 0) AS aggregate_id,
    coalesce(last.sequence, 0) AS sequence,
    last.recorded_at,
    (
        SELECT count(*)
        FROM (
            SELECT FROM {schema}.events AS event WHERE event.position > $5 ORDER BY event.position LIMIT 1000
        ) AS later
    ) AS later
FROM readable
LEFT JOIN LATERAL (
    SELECT event.position, event.aggregate_id, event.sequence, event.recorded_at
    FROM {schema}.events AS event
    ORDER BY event.position DESC
    LIMIT 1
) AS last ON true
