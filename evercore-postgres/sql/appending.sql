-- The transactions that have begun to append to the log and have not ended. Where the log is a copy, they are
-- elsewhere.
SELECT
    log_limit.position AS readable,
    lock.virtualtransaction AS transaction,
    CASE WHEN log_limit.position IS NULL THEN pg_postmaster_start_time() END AS server_started
FROM {schema}.log_limit AS log_limit
LEFT JOIN (
    SELECT pg_locks.virtualtransaction
    FROM pg_locks
    WHERE pg_locks.locktype = 'relation'
        AND pg_locks.database = (SELECT pg_database.oid FROM pg_database WHERE datname = current_database())
        AND pg_locks.relation = '{schema}.events'::regclass
        AND pg_locks.mode = 'RowExclusiveLock'
        AND pg_locks.granted
) AS lock ON true
