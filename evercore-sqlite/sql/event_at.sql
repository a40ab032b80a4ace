SELECT
    position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata, codec, payload
FROM evercore_events
WHERE position = ?1
