SELECT sequence, position FROM evercore_events WHERE aggregate_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT 1
