-- Where many of the first events are wanted, all are looked at, in their order; where few are, the index of types is used.
, first AS (
    SELECT
        ($7::integer[] IS NULL OR event.aggregate_type_id = ANY ($7))
            AND ($8::integer[] IS NULL OR event.event_type_id = ANY ($8)) AS is_wanted
    FROM {schema}.events AS event
    WHERE event.position > $5
        AND event.position <= least($6, (SELECT readable.position FROM readable))
    ORDER BY event.position
    LIMIT 100
),
wanted AS MATERIALIZED (
    SELECT count(*) FILTER (WHERE first.is_wanted) * 10 < count(*) AS are_few FROM first
)
SELECT * FROM about
UNION ALL
(
    SELECT
        NULL, position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
        codec, payload, NULL
    FROM {schema}.events
    WHERE NOT (SELECT wanted.are_few FROM wanted)
        AND position > $5
        AND position <= least($6, (SELECT readable.position FROM readable))
        AND ($7 IS NULL OR aggregate_type_id = ANY ($7))
        AND ($8 IS NULL OR event_type_id = ANY ($8))
    ORDER BY position
    LIMIT $9
)
UNION ALL
(
    SELECT
        NULL, position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
        codec, payload, NULL
    FROM {schema}.events_of_types_v1($5, least($6, (SELECT readable.position FROM readable)), $7, $8, $9)
    WHERE (SELECT wanted.are_few FROM wanted)
    ORDER BY position
    LIMIT $9
)
