SELECT pg_advisory_xact_lock(hashtextextended('evercore migrations of {schema}', 0))
