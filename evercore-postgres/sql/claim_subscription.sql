-- Answers with the subscription that was claimed, or as it was found. What a claim is compared with stands in one
-- row, which is looked at again after a wait for it; what is found is of the moment before.
WITH claimed AS (
    UPDATE {schema}.subscriptions AS subscription
    SET owner = $2, expires_at = clock_timestamp() + $3::bigint * interval '1 microsecond',
        token = nextval('{schema}.subscription_tokens'), failure = NULL
    WHERE subscription.name = $1 AND NOT subscription.paused AND (
        subscription.owner IS NULL OR subscription.owner = $2 OR subscription.expires_at <= clock_timestamp()
    )
    RETURNING *
), held AS (
    UPDATE {schema}.subscription_cursors AS cursor
    SET token = claimed.token
    FROM claimed
    WHERE cursor.subscription = claimed.name
    RETURNING cursor.*
)
SELECT
    true AS is_done,
    clock_timestamp() AS now,
    claimed.name,
    claimed.filter,
    claimed.paused,
    claimed.failure,
    claimed.token,
    claimed.owner,
    claimed.expires_at,
    claimed.defined_at,
    held.position,
    held.moved_at,
    held.anchor_position,
    held.anchor_aggregate_id,
    held.anchor_sequence,
    held.anchor_recorded_at
FROM claimed JOIN held ON held.subscription = claimed.name
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
WHERE subscription.name = $1 AND NOT EXISTS (SELECT FROM claimed)
