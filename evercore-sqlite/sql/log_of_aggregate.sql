-- Within an aggregate the order of sequences is the order of positions.
SELECT
    position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata, codec, payload
FROM evercore_events
WHERE aggregate_id = ?1 AND position > ?2
ORDER BY sequence
