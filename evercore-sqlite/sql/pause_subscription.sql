UPDATE evercore_subscriptions SET paused = 1, owner = NULL, expires_at = NULL WHERE name = ?1
