SELECT sequence, position FROM evercore_events WHERE aggregate_id = ?1 ORDER BY sequence DESC LIMIT 1
