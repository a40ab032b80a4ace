UPDATE evercore_subscriptions SET paused = 0 WHERE name = ?1 AND paused = 1
