INSERT INTO evercore_event_types (name) VALUES (?1) ON CONFLICT (name) DO NOTHING
