-- Without a token it is removed whoever owns it. Failed deliveries go with the cursor.
WITH deleted AS (
    DELETE FROM {schema}.subscriptions AS subscription
    WHERE subscription.name = $1
        AND ($2::bigint IS NULL OR subscription.token = $2 AND subscription.owner IS NOT NULL)
    RETURNING *
), held AS (
    DELETE FROM {schema}.subscription_cursors AS cursor
    USING deleted
    WHERE cursor.subscription = deleted.name
    RETURNING cursor.*
)
SELECT
    true AS is_done,
    clock_timestamp() AS now,
    deleted.name,
    deleted.filter,
    deleted.paused,
    deleted.failure,
    deleted.token,
    deleted.owner,
    deleted.expires_at,
    deleted.defined_at,
    held.position,
    held.moved_at,
    held.anchor_position,
    held.anchor_aggregate_id,
    held.anchor_sequence,
    held.anchor_recorded_at
FROM deleted JOIN held ON held.subscription = deleted.name
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
WHERE subscription.name = $1 AND NOT EXISTS (SELECT FROM deleted)
