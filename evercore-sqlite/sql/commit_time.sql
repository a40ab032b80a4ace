-- Not earlier than the last commit, also when the clock was set back: a start time is then found by halving.
SELECT max(?1, coalesce((SELECT recorded_at FROM evercore_events ORDER BY position DESC LIMIT 1), ?1))
