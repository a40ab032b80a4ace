SELECT version FROM evercore_aggregates WHERE id = ?1
