UPDATE evercore_aggregates SET natural_key = ?2 WHERE id = ?1
