SELECT id FROM evercore_aggregates WHERE type_id = ?1 AND natural_key = ?2
