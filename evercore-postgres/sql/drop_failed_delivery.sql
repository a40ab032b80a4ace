WITH dropped AS (
    DELETE FROM {schema}.failed_deliveries WHERE subscription = $1 AND position = $2 RETURNING 1
)
SELECT count(*) AS dropped FROM dropped
