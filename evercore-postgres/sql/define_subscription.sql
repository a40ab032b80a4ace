-- Answers with the subscription that was defined, or with the one that is there. There is no answer when
-- somebody else defined it meanwhile.
WITH defined AS (
    INSERT INTO {schema}.subscriptions (name, filter, token, defined_at)
    SELECT $1::text, $2::text, nextval('{schema}.subscription_tokens'), clock_timestamp()
    WHERE NOT EXISTS (SELECT FROM {schema}.subscriptions AS earlier WHERE earlier.name = $1::text)
    ON CONFLICT DO NOTHING
    RETURNING *
), placed AS (
    INSERT INTO {schema}.subscription_cursors (subscription, position, moved_at)
    SELECT defined.name, $3, defined.defined_at FROM defined
    RETURNING *
)
SELECT
    true AS is_done,
    clock_timestamp() AS now,
    defined.name,
    defined.filter,
    defined.paused,
    defined.failure,
    defined.token,
    defined.owner,
    defined.expires_at,
    defined.defined_at,
    placed.position,
    placed.moved_at,
    placed.anchor_position,
    placed.anchor_aggregate_id,
    placed.anchor_sequence,
    placed.anchor_recorded_at
FROM defined JOIN placed ON placed.subscription = defined.name
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
WHERE subscription.name = $1 AND NOT EXISTS (SELECT FROM defined)
