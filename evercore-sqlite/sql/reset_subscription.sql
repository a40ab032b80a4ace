UPDATE evercore_subscriptions SET
    cursor = ?2,
    filter = coalesce(?3, filter),
    moved_at = ?4,
    anchor_position = NULL,
    anchor_aggregate_id = NULL,
    anchor_sequence = NULL,
    anchor_recorded_at = NULL,
    failure = NULL
WHERE name = ?1
