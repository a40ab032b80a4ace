-- Always one row: the subscription is in it as it was found when the cursor was not moved. Of a failed delivery
-- that is given twice the last is taken. Outside of a caller's transaction nobody waits for the disk: what a crash of the
-- server undoes is done again.
WITH moved AS (
    UPDATE {schema}.subscription_cursors AS cursor
    SET position = $4, moved_at = clock_timestamp(),
        anchor_position = coalesce($5, cursor.anchor_position),
        anchor_aggregate_id = coalesce($6, cursor.anchor_aggregate_id),
        anchor_sequence = coalesce($7, cursor.anchor_sequence),
        anchor_recorded_at = coalesce($8, cursor.anchor_recorded_at)
    WHERE cursor.subscription = $1 AND cursor.token = $2 AND cursor.position = $3
        AND ($12 IS NULL OR EXISTS (SELECT FROM {schema}.store AS store WHERE store.id = $12::uuid))
    RETURNING cursor.subscription
), recorded AS (
    INSERT INTO {schema}.failed_deliveries (subscription, position, attempts, error, failed_at)
    SELECT DISTINCT ON (given.position)
        moved.subscription, given.position, given.attempts, given.error, clock_timestamp()
    FROM moved, unnest($9::bigint[], $10::bigint[], $11::text[]) WITH ORDINALITY
        AS given (position, attempts, error, place)
    ORDER BY given.position, given.place DESC
    ON CONFLICT (subscription, position) DO UPDATE
    SET attempts = excluded.attempts, error = excluded.error, failed_at = excluded.failed_at
)
SELECT
    attempt.is_done,
    attempt.is_own_store,
    clock_timestamp() AS now,
    subscription.name,
    subscription.filter,
    subscription.paused,
    subscription.failure,
    subscription.token,
    subscription.owner,
    subscription.expires_at,
    subscription.defined_at,
    cursor.position,
    cursor.moved_at,
    cursor.anchor_position,
    cursor.anchor_aggregate_id,
    cursor.anchor_sequence,
    cursor.anchor_recorded_at,
    CASE WHEN $12 IS NULL THEN set_config('synchronous_commit', 'off', true) END AS durability
FROM (
    SELECT
        EXISTS (SELECT FROM moved) AS is_done,
        $12 IS NULL OR EXISTS (SELECT FROM {schema}.store AS store WHERE store.id = $12::uuid) AS is_own_store
) AS attempt
LEFT JOIN (
    {schema}.subscriptions AS subscription
    JOIN {schema}.subscription_cursors AS cursor ON cursor.subscription = subscription.name
) ON subscription.name = $1 AND NOT attempt.is_done
