-- One row when there are none: the time is in it.
SELECT
    clock.now,
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
FROM (SELECT clock_timestamp() AS now) AS clock
LEFT JOIN (
    {schema}.subscriptions AS subscription
    JOIN {schema}.subscription_cursors AS cursor ON cursor.subscription = subscription.name
) ON $1::text IS NULL OR subscription.name = $1
ORDER BY subscription.name
