INSERT INTO evercore_events (
    aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata, codec, payload
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
