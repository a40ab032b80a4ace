-- Without a token it is changed whoever owns it. What is NULL stays; a new cursor makes the anchor and the failure
-- void. $6 draws a new token, and $7 takes the subscription away from its owner.
WITH changed AS (
    UPDATE {schema}.subscriptions AS subscription
    SET paused = coalesce($3, subscription.paused),
        filter = coalesce($4, subscription.filter),
        failure = CASE WHEN $5::bigint IS NULL THEN subscription.failure END,
        token = CASE WHEN $6 THEN nextval('{schema}.subscription_tokens') ELSE subscription.token END,
        owner = CASE WHEN NOT $7 THEN subscription.owner END,
        expires_at = CASE WHEN NOT $7 THEN subscription.expires_at END
    WHERE subscription.name = $1
        AND ($2::bigint IS NULL OR subscription.token = $2 AND subscription.owner IS NOT NULL)
    RETURNING *
), held AS (
    UPDATE {schema}.subscription_cursors AS cursor
    SET token = CASE WHEN changed.owner IS NOT NULL THEN changed.token END,
        position = coalesce($5, cursor.position),
        moved_at = CASE WHEN $5 IS NULL THEN cursor.moved_at ELSE clock_timestamp() END,
        anchor_position = CASE WHEN $5 IS NULL THEN cursor.anchor_position END,
        anchor_aggregate_id = CASE WHEN $5 IS NULL THEN cursor.anchor_aggregate_id END,
        anchor_sequence = CASE WHEN $5 IS NULL THEN cursor.anchor_sequence END,
        anchor_recorded_at = CASE WHEN $5 IS NULL THEN cursor.anchor_recorded_at END
    FROM changed
    WHERE cursor.subscription = changed.name
    RETURNING cursor.*
)
SELECT
    true AS is_done,
    clock_timestamp() AS now,
    changed.name,
    changed.filter,
    changed.paused,
    changed.failure,
    changed.token,
    changed.owner,
    changed.expires_at,
    changed.defined_at,
    held.position,
    held.moved_at,
    held.anchor_position,
    held.anchor_aggregate_id,
    held.anchor_sequence,
    held.anchor_recorded_at
FROM changed JOIN held ON held.subscription = changed.name
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
WHERE subscription.name = $1 AND NOT EXISTS (SELECT FROM changed)
