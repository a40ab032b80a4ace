SELECT position, recorded_at FROM evercore_events WHERE position > ?1 ORDER BY position LIMIT 1
