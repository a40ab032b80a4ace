-- Where many of the first events are wanted, all are looked at, in their order; where few are, the index of types is used.
WITH first AS (
    SELECT
        ($3::integer[] IS NULL OR event.aggregate_type_id = ANY ($3))
            AND ($4::integer[] IS NULL OR event.event_type_id = ANY ($4)) AS is_wanted
    FROM {schema}.events AS event
    WHERE event.position > $1 AND event.position <= $2
    ORDER BY event.position
    LIMIT 100
),
wanted AS MATERIALIZED (
    SELECT count(*) FILTER (WHERE first.is_wanted) * 10 < count(*) AS are_few FROM first
)
SELECT server.is_standby, event.*
FROM (SELECT pg_is_in_recovery() AS is_standby) AS server
LEFT JOIN LATERAL (
    (
        SELECT
            position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
            codec, payload
        FROM {schema}.events
        WHERE NOT (SELECT wanted.are_few FROM wanted)
            AND position > $1
            AND position <= $2
            AND ($3 IS NULL OR aggregate_type_id = ANY ($3))
            AND ($4 IS NULL OR event_type_id = ANY ($4))
        ORDER BY position
        LIMIT $5
    )
    UNION ALL
    (
        SELECT
            position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
            codec, payload
        FROM {schema}.events_of_types_v1($1, $2, $3, $4, $5)
        WHERE (SELECT wanted.are_few FROM wanted)
        ORDER BY position
        LIMIT $5
    )
) AS event ON true
