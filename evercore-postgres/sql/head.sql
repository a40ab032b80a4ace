-- The last position, and how many events follow a position: when those are as many as there are positions
-- between the two, none is missing. More than a thousand are not counted.
SELECT
    pg_is_in_recovery() AS is_standby,
    pg_postmaster_start_time() AS server_started,
    coalesce((SELECT event.position FROM {schema}.events AS event ORDER BY event.position DESC LIMIT 1), 0) AS head,
    (
        SELECT count(*)
        FROM (
            SELECT FROM {schema}.events AS event WHERE event.position > $1 ORDER BY event.position LIMIT 1000
        ) AS later
    ) AS later
