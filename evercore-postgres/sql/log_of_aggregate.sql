-- The sequences of an aggregate are in the order of the positions, and have the index.
SELECT * FROM about
UNION ALL
(
    SELECT
        NULL, position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
        codec, payload, NULL
    FROM {schema}.events
    WHERE aggregate_id = $10
        AND position > $5
        AND position <= least($6, (SELECT readable.position FROM readable))
        AND ($7::integer[] IS NULL OR aggregate_type_id = ANY ($7))
        AND ($8::integer[] IS NULL OR event_type_id = ANY ($8))
    ORDER BY sequence
    LIMIT $9
)
