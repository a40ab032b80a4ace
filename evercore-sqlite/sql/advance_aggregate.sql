UPDATE evercore_aggregates SET version = ?3 WHERE id = ?1 AND version = ?2
