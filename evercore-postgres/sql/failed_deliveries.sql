SELECT position, attempts, error, failed_at
FROM {schema}.failed_deliveries
WHERE subscription = $1 AND position > $2
ORDER BY position
LIMIT $3
