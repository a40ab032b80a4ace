SELECT
    name, filter, cursor, anchor_position, anchor_aggregate_id, anchor_sequence, anchor_recorded_at, paused, failure, token,
    owner, expires_at, defined_at, moved_at
FROM evercore_subscriptions
ORDER BY name
