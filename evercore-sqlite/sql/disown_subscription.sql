UPDATE evercore_subscriptions SET token = ?2, owner = NULL, expires_at = NULL WHERE name = ?1
