SELECT position
FROM evercore_events
WHERE aggregate_type_id = ?1 AND event_type_id = ?2 AND position > ?3 AND position <= ?4
ORDER BY position
LIMIT ?5
