UPDATE evercore_subscriptions SET expires_at = ?3 WHERE name = ?1 AND token = ?2 AND owner IS NOT NULL
