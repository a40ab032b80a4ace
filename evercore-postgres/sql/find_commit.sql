SELECT receipt, last_position, committed_at FROM {schema}.idempotency_keys WHERE key = $1
