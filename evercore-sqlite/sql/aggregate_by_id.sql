SELECT id, type_id, natural_key, version FROM evercore_aggregates WHERE id = ?1
