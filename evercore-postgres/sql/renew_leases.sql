-- One row for each lease, known by its place. Without its own it says what was found.
WITH given AS (
    SELECT given.*
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS given (name, token, lease, place)
), renewed AS (
    UPDATE {schema}.subscriptions AS subscription
    SET expires_at = clock_timestamp() + given.lease * interval '1 microsecond'
    FROM given
    WHERE subscription.name = given.name AND subscription.token = given.token AND subscription.owner IS NOT NULL
    RETURNING subscription.name, subscription.token
)
SELECT
    given.place,
    renewed.name IS NOT NULL AS is_done,
    found.name IS NOT NULL AS exists,
    found.paused,
    found.token,
    found.owner
FROM given
LEFT JOIN renewed ON renewed.name = given.name AND renewed.token = given.token
LEFT JOIN {schema}.subscriptions AS found ON found.name = given.name
