UPDATE evercore_subscriptions SET owner = NULL, expires_at = NULL, failure = ?2 WHERE name = ?1
