-- The transactions that have begun to append to the log and have not ended. Where the log is replicated from
-- elsewhere, those are there: a standby, and a database that has subscribed to it.
SELECT server.is_standby, lock.virtualtransaction AS transaction, pg_postmaster_start_time() AS server_started
FROM (
    SELECT
        pg_is_in_recovery() OR EXISTS (
            SELECT FROM pg_subscription_rel WHERE pg_subscription_rel.srrelid = '{schema}.events'::regclass
        ) AS is_standby
) AS server
LEFT JOIN (
    SELECT pg_locks.virtualtransaction
    FROM pg_locks
    WHERE pg_locks.locktype = 'relation'
        AND pg_locks.database = (SELECT pg_database.oid FROM pg_database WHERE datname = current_database())
        AND pg_locks.relation = '{schema}.events'::regclass
        AND pg_locks.mode = 'RowExclusiveLock'
        AND pg_locks.granted
) AS lock ON true
