INSERT INTO evercore_migrations (version, name) VALUES (?1, ?2)
