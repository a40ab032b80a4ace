-- One row for each aggregate that was found, with its snapshot, and one for each event; a request is known by
-- its place. The limits of single rows make the planner look up one after the other, however small the tables
-- were when the plan was made.
WITH found AS MATERIALIZED (
    SELECT
        request.place,
        request.after,
        request.event_limit,
        aggregate.id,
        aggregate.type_id,
        aggregate.natural_key,
        aggregate.version,
        snapshot.sequence AS snapshot_sequence,
        snapshot.fits AS snapshot_fits,
        snapshot.codec,
        CASE WHEN snapshot.fits THEN snapshot.payload END AS payload
    FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::boolean[], $5::bigint[], $6::bigint[], $7::bigint[])
        WITH ORDINALITY
        AS request (id, type_id, natural_key, use_snapshot, fingerprint, after, event_limit, place)
    CROSS JOIN LATERAL (
        SELECT by_id.id, by_id.type_id, by_id.natural_key, by_id.version
        FROM {schema}.aggregates AS by_id
        WHERE by_id.id = request.id
        UNION ALL
        SELECT by_key.id, by_key.type_id, by_key.natural_key, by_key.version
        FROM {schema}.aggregates AS by_key
        WHERE by_key.type_id = request.type_id AND by_key.natural_key = request.natural_key
        LIMIT 1
    ) AS aggregate
    LEFT JOIN LATERAL (
        SELECT
            stored.sequence,
            request.fingerprint IS NULL OR request.fingerprint = stored.fingerprint AS fits,
            stored.codec,
            stored.payload
        FROM {schema}.snapshots AS stored
        WHERE request.use_snapshot AND stored.aggregate_id = aggregate.id AND stored.sequence > request.after
        LIMIT 1
    ) AS snapshot ON true
)
SELECT
    found.place,
    found.id,
    found.type_id,
    found.natural_key,
    found.version,
    found.snapshot_sequence,
    found.snapshot_fits,
    found.codec,
    found.payload,
    NULL::bigint AS position,
    NULL::bigint AS sequence,
    NULL::timestamptz AS time,
    NULL::timestamptz AS recorded_at,
    NULL::integer AS event_type_id,
    NULL::text AS reference,
    NULL::text AS metadata
FROM found
UNION ALL
SELECT
    found.place,
    found.id,
    found.type_id,
    NULL,
    NULL,
    NULL,
    NULL,
    event.codec,
    event.payload,
    event.position,
    event.sequence,
    event.time,
    event.recorded_at,
    event.event_type_id,
    event.reference,
    event.metadata
FROM found
CROSS JOIN LATERAL (
    SELECT stored.*
    FROM {schema}.events AS stored
    WHERE stored.aggregate_id = found.id
        AND stored.sequence > CASE WHEN found.snapshot_fits THEN found.snapshot_sequence ELSE found.after END
    ORDER BY stored.sequence
    LIMIT found.event_limit
) AS event
