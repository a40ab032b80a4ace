UPDATE evercore_aggregates SET version = ?3, natural_key = NULL
WHERE id = ?1 AND version = ?2 AND natural_key IS ?4
