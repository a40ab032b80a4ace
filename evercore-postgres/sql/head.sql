-- The last event, and how many events follow the position $1: when those are as many as there are positions between
-- the two, none is missing. More than a thousand are not counted.
--
-- `readable` is -1 when the event at $2, which was read before, is not there any more: number $4 of aggregate $3,
-- recorded at $5. Otherwise it is NULL where the log is written, and on a copy of the log it says how far that may be
-- read. A copy that has not come as far as that event cannot tell whether it is there. It is found out once in a
-- statement (MATERIALIZED): a standby that is promoted meanwhile would give two answers.
--
-- `server_started` tells servers apart, where the log is written; what is said of a copy holds for that answer alone.
WITH readable AS MATERIALIZED (
    SELECT CASE
        WHEN $2 = 0 OR log_limit.position < $2 THEN log_limit.position
        WHEN EXISTS (
            SELECT FROM {schema}.events AS read
            WHERE read.position = $2
                AND read.aggregate_id = $3
                AND read.sequence = $4
                AND read.recorded_at = $5
        ) THEN log_limit.position
        ELSE -1
    END AS position
    FROM {schema}.log_limit AS log_limit
)
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
            SELECT FROM {schema}.events AS event WHERE event.position > $1 ORDER BY event.position LIMIT 1000
        ) AS later
    ) AS later
FROM readable
LEFT JOIN LATERAL (
    SELECT event.position, event.aggregate_id, event.sequence, event.recorded_at
    FROM {schema}.events AS event
    ORDER BY event.position DESC
    LIMIT 1
) AS last ON true
