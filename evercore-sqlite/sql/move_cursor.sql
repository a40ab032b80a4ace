UPDATE evercore_subscriptions SET
    cursor = ?4,
    moved_at = ?5,
    anchor_position = coalesce(?6, anchor_position),
    anchor_aggregate_id = coalesce(?7, anchor_aggregate_id),
    anchor_sequence = coalesce(?8, anchor_sequence),
    anchor_recorded_at = coalesce(?9, anchor_recorded_at)
WHERE name = ?1 AND token = ?2 AND owner IS NOT NULL AND cursor = ?3
