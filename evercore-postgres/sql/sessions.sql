-- Who the given transactions belong to, for people. A prepared transaction has no session.
SELECT
    string_agg(
        format(
            'process %s (%s), in a transaction for %s s',
            coalesce(lock.pid::text, 'none'),
            coalesce(nullif(session.application_name, ''), 'no name'),
            coalesce(round(extract(epoch FROM clock_timestamp() - session.xact_start))::text, '?')
        ),
        '; '
    ) AS sessions
FROM (
    SELECT DISTINCT pg_locks.virtualtransaction, pg_locks.pid
    FROM pg_locks
    WHERE pg_locks.virtualtransaction = ANY ($1)
) AS lock
LEFT JOIN pg_stat_activity AS session ON session.pid = lock.pid
