SELECT id, name FROM evercore_aggregate_types ORDER BY id
