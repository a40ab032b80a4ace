-- Halves the log up to $2 until it has found where events recorded at $1 or later begin. Commits that were
-- made at the same moment may stand in another order than their times, as far as there are events written while
-- the largest of them was: so a stretch before is looked through.
WITH RECURSIVE halving (low, high) AS (
    SELECT 0::bigint, $2::bigint
    UNION ALL
    SELECT
        CASE WHEN probe.recorded_at < $1 THEN probe.position ELSE halving.low END,
        CASE WHEN probe.recorded_at < $1 THEN halving.high ELSE halving.low + (halving.high - halving.low) / 2 END
    FROM halving
    CROSS JOIN LATERAL (
        SELECT event.position, event.recorded_at
        FROM {schema}.events AS event
        WHERE event.position > halving.low + (halving.high - halving.low) / 2
        ORDER BY event.position
        LIMIT 1
    ) AS probe
    WHERE halving.low < halving.high
),
found AS (
    SELECT max(halving.low) AS low FROM halving
)
SELECT
    pg_is_in_recovery() AS is_standby,
    pg_postmaster_start_time() AS server_started,
    coalesce(
        (
            SELECT min(event.position) - 1
            FROM {schema}.events AS event
            WHERE event.position > (SELECT found.low - 100000 FROM found)
                AND event.position <= (SELECT found.low FROM found)
                AND event.recorded_at >= $1
        ),
        (SELECT found.low FROM found)
    ) AS position
