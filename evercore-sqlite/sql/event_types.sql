SELECT id, name FROM evercore_event_types ORDER BY id
