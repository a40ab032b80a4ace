-- Says how far the log is settled, where it is written. The event there has to be the one that was found: another server
-- may have drawn its position again.
UPDATE {schema}.horizon AS horizon
SET position = $1, published_at = clock_timestamp()
WHERE horizon.position < $1
    AND (SELECT log_limit.position FROM {schema}.log_limit AS log_limit) IS NULL
    AND EXISTS (
        SELECT FROM {schema}.events AS settled
        WHERE settled.position = $1
            AND settled.aggregate_id = $2
            AND settled.sequence = $3
            AND settled.recorded_at = $4
    )
