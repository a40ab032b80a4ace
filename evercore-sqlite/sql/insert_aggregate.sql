INSERT INTO evercore_aggregates (id, type_id, natural_key, version) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (id) DO NOTHING
