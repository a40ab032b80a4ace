WITH forgotten AS (
    DELETE FROM {schema}.idempotency_keys WHERE committed_at < $1 RETURNING 1
)
SELECT count(*) AS forgotten FROM forgotten
