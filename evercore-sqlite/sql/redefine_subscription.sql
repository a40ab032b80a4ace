UPDATE evercore_subscriptions SET filter = ?2 WHERE name = ?1
