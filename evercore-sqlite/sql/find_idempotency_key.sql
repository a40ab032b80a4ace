SELECT receipt, last_position, committed_at FROM evercore_idempotency_keys WHERE key = ?1
