SELECT * FROM about
UNION ALL
(
    SELECT
        NULL, position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
        codec, payload, NULL
    FROM {schema}.events
    WHERE position > $5
        AND position <= coalesce((SELECT readable.position FROM readable), 9223372036854775807)
    ORDER BY position
    LIMIT $6
)
