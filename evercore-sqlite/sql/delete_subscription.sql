DELETE FROM evercore_subscriptions WHERE name = ?1
