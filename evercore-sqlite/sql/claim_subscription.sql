UPDATE evercore_subscriptions SET token = ?2, owner = ?3, expires_at = ?4, failure = NULL WHERE name = ?1
