SELECT coalesce(max(version), 0) FROM evercore_migrations
