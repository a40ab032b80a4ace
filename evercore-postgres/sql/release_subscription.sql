WITH released AS (
    UPDATE {schema}.subscriptions AS subscription
    SET owner = NULL, expires_at = NULL, failure = $3
    WHERE subscription.name = $1 AND subscription.token = $2 AND subscription.owner IS NOT NULL
    RETURNING *
), held AS (
    UPDATE {schema}.subscription_cursors AS cursor
    SET token = NULL
    FROM released
    WHERE cursor.subscription = released.name
    RETURNING cursor.*
)
SELECT
    true AS is_done,
    clock_timestamp() AS now,
    released.name,
    released.filter,
    released.paused,
    released.failure,
    released.token,
    released.owner,
    released.expires_at,
    released.defined_at,
    held.position,
    held.moved_at,
    held.anchor_position,
    held.anchor_aggregate_id,
    held.anchor_sequence,
    held.anchor_recorded_at
FROM released JOIN held ON held.subscription = released.name
UNION ALL
SELECT
    false AS is_done,
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
    cursor.anchor_recorded_at
FROM {schema}.subscriptions AS subscription
JOIN {schema}.subscription_cursors AS cursor ON cursor.subscription = subscription.name
WHERE subscription.name = $1 AND NOT EXISTS (SELECT FROM released)
