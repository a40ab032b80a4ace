-- Halves the log up to $2 until it has found where events recorded at $1 or later begin, and where those begin that were
-- recorded five minutes before. Commits that were made side by side may stand in another order than their times, as
-- far as there are events written while the largest of them was, and none takes five minutes: so the stretch
-- between the two is looked through.
WITH RECURSIVE halving (lead, low, high) AS (
    SELECT given.lead, 0::bigint, $2::bigint
    FROM (VALUES (interval '0'), (interval '5 minutes')) AS given (lead)
    UNION ALL
    SELECT
        halving.lead,
        CASE WHEN probe.is_before THEN probe.position ELSE halving.low END,
        CASE WHEN probe.is_before THEN halving.high ELSE halving.low + (halving.high - halving.low) / 2 END
    FROM halving
    CROSS JOIN LATERAL (
        SELECT event.position, event.recorded_at + halving.lead < $1 AS is_before
        FROM {schema}.events AS event
        WHERE event.position > halving.low + (halving.high - halving.low) / 2
        ORDER BY event.position
        LIMIT 1
    ) AS probe
    WHERE halving.low < halving.high
),
found AS (
    SELECT
        max(halving.low) FILTER (WHERE halving.lead = interval '0') AS low,
        max(halving.low) FILTER (WHERE halving.lead > interval '0') AS early
    FROM halving
)
SELECT
    log_limit.position AS readable,
    CASE WHEN log_limit.position IS NULL THEN pg_postmaster_start_time() END AS server_started,
    coalesce(
        (
            SELECT min(event.position) - 1
            FROM {schema}.events AS event
            WHERE event.position > (SELECT found.early FROM found)
                AND event.position <= (SELECT found.low FROM found)
                AND event.recorded_at >= $1
        ),
        (SELECT found.low FROM found)
    ) AS position
FROM {schema}.log_limit AS log_limit
