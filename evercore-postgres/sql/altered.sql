-- What statements depend on and is not as the migrations made it. Without the unique indexes writers that are at work
-- at the same time would not see each other's keys.
WITH needed_columns (table_name, column_name, type) AS (
    VALUES
        ('store', 'id', 'uuid'),
        ('store', 'next_aggregate_id', 'bigint'),
        ('aggregate_types', 'id', 'integer'),
        ('aggregate_types', 'name', 'text'),
        ('event_types', 'id', 'integer'),
        ('event_types', 'name', 'text'),
        ('aggregates', 'id', 'bigint'),
        ('aggregates', 'version', 'bigint'),
        ('aggregates', 'type_id', 'integer'),
        ('aggregates', 'natural_key', 'text'),
        ('events', 'position', 'bigint'),
        ('events', 'aggregate_id', 'bigint'),
        ('events', 'sequence', 'bigint'),
        ('events', 'time', 'timestamp with time zone'),
        ('events', 'recorded_at', 'timestamp with time zone'),
        ('events', 'aggregate_type_id', 'integer'),
        ('events', 'event_type_id', 'integer'),
        ('events', 'codec', 'smallint'),
        ('events', 'payload', 'bytea'),
        ('events', 'reference', 'text'),
        ('events', 'metadata', 'text'),
        ('snapshots', 'aggregate_id', 'bigint'),
        ('snapshots', 'sequence', 'bigint'),
        ('snapshots', 'fingerprint', 'bigint'),
        ('snapshots', 'codec', 'smallint'),
        ('snapshots', 'payload', 'bytea'),
        ('idempotency_keys', 'key', 'text'),
        ('idempotency_keys', 'last_position', 'bigint'),
        ('idempotency_keys', 'committed_at', 'timestamp with time zone'),
        ('idempotency_keys', 'receipt', 'text'),
        ('horizon', 'position', 'bigint'),
        ('horizon', 'published_at', 'timestamp with time zone'),
        ('subscriptions', 'name', 'text'),
        ('subscriptions', 'filter', 'text'),
        ('subscriptions', 'paused', 'boolean'),
        ('subscriptions', 'failure', 'text'),
        ('subscriptions', 'token', 'bigint'),
        ('subscriptions', 'owner', 'text'),
        ('subscriptions', 'expires_at', 'timestamp with time zone'),
        ('subscriptions', 'defined_at', 'timestamp with time zone'),
        ('subscription_cursors', 'subscription', 'text'),
        ('subscription_cursors', 'token', 'bigint'),
        ('subscription_cursors', 'position', 'bigint'),
        ('subscription_cursors', 'moved_at', 'timestamp with time zone'),
        ('subscription_cursors', 'anchor_position', 'bigint'),
        ('subscription_cursors', 'anchor_aggregate_id', 'bigint'),
        ('subscription_cursors', 'anchor_sequence', 'bigint'),
        ('subscription_cursors', 'anchor_recorded_at', 'timestamp with time zone'),
        ('failed_deliveries', 'subscription', 'text'),
        ('failed_deliveries', 'position', 'bigint'),
        ('failed_deliveries', 'attempts', 'bigint'),
        ('failed_deliveries', 'error', 'text'),
        ('failed_deliveries', 'failed_at', 'timestamp with time zone')
),
needed_indexes (index_name) AS (
    VALUES
        ('store_only_row'),
        ('aggregate_types_id'),
        ('aggregate_types_name'),
        ('event_types_id'),
        ('event_types_name'),
        ('aggregates_id'),
        ('aggregates_natural_key'),
        ('events_position_is_unique'),
        ('events_sequence_is_unique'),
        ('snapshots_aggregate_id'),
        ('idempotency_keys_key'),
        ('horizon_only_row'),
        ('subscriptions_name'),
        ('subscription_cursors_subscription'),
        ('failed_deliveries_position')
),
classes AS (
    SELECT class.oid, class.relname::text AS name
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE format('"%s"', namespace.nspname) = '{schema}'
),
changes (change) AS (
    SELECT DISTINCT format('there is no table %s', needed.table_name)
    FROM needed_columns AS needed
    WHERE NOT EXISTS (SELECT FROM classes WHERE classes.name = needed.table_name)
    UNION ALL
    SELECT
        CASE
            WHEN found.atttypid IS NULL THEN format('there is no column %s.%s', needed.table_name, needed.column_name)
            ELSE format(
                'the column %s.%s has the type %s instead of %s',
                needed.table_name, needed.column_name, format_type(found.atttypid, NULL), needed.type
            )
        END
    FROM needed_columns AS needed
    JOIN classes ON classes.name = needed.table_name
    LEFT JOIN pg_attribute AS found
        ON found.attrelid = classes.oid AND found.attname = needed.column_name AND NOT found.attisdropped
    WHERE found.atttypid IS NULL OR format_type(found.atttypid, NULL) <> needed.type
    UNION ALL
    SELECT format('there is no unique index %s', needed.index_name)
    FROM needed_indexes AS needed
    WHERE NOT EXISTS (
        SELECT
        FROM classes
        JOIN pg_index AS found ON found.indexrelid = classes.oid
        WHERE classes.name = needed.index_name AND found.indisunique AND found.indisvalid
    )
)
SELECT string_agg(changes.change, '; ' ORDER BY changes.change) AS changes FROM changes
