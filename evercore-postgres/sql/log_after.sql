SELECT server.is_standby, event.*, server.server_started
FROM (SELECT pg_is_in_recovery() AS is_standby, pg_postmaster_start_time() AS server_started) AS server
LEFT JOIN LATERAL (
    SELECT
        position, aggregate_id, aggregate_type_id, event_type_id, sequence, time, recorded_at, reference, metadata,
        codec, payload
    FROM {schema}.events
    WHERE position > $1
    ORDER BY position
    LIMIT $2
) AS event ON true
