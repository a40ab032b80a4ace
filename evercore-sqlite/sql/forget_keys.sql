DELETE FROM evercore_idempotency_keys WHERE committed_at < ?1
