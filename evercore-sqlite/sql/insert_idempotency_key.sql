INSERT INTO evercore_idempotency_keys (key, receipt, last_position, committed_at)
VALUES (?1, ?2, ?3, ?4)
