INSERT INTO evercore_subscriptions (name, filter, cursor, token, defined_at, moved_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
