INSERT INTO evercore_failed_deliveries (subscription, position, attempts, error, failed_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (subscription, position) DO UPDATE SET
    attempts = excluded.attempts,
    error = excluded.error,
    failed_at = excluded.failed_at
