SELECT id, type_id, natural_key, version FROM evercore_aggregates WHERE type_id = ?1 AND natural_key = ?2
