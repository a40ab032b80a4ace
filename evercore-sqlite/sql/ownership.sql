SELECT token, owner, paused, cursor FROM evercore_subscriptions WHERE name = ?1
