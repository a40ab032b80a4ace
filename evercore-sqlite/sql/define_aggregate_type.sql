INSERT INTO evercore_aggregate_types (name) VALUES (?1) ON CONFLICT (name) DO NOTHING
