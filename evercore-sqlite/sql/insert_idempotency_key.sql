INSERT INTO evercore_idempotency_keys (key, content, receipt, last_position, committed_at)
VALUES (?1, ?2, ?3, ?4, ?5)
