-- Writes the changes of one unit of work, all or nothing: every refusal is raised, which undoes all of it.
--
-- Aggregates come in the order of their ids, which is the order in which their rows are locked. `events` is
-- touched last: readers of the log wait for whoever has begun to append, so nobody who appends may wait for a
-- row, not even for that of a snapshot. Statements are short and find single rows by their keys. Scans of whole
-- tables are off, because plans are kept: one that was made for a table of a few rows would still read all of it
-- when it has grown.
--
-- SQLSTATEs: EV001 conflict, EV002 unknown aggregate, EV003 duplicate key, EV004 another store. DETAIL names
-- the aggregate, and after it the sequence that it is at, when that is known.
CREATE FUNCTION {schema}.commit_v1(
    IN own_store uuid,
    IN own_key text,
    IN own_receipt text,
    IN aggregate_ids bigint[],
    IN aggregate_type_ids integer[],
    IN expected_versions bigint[],
    IN new_versions bigint[],
    IN old_keys text[],
    IN new_keys text[],
    IN event_aggregate_ids bigint[],
    IN event_aggregate_type_ids integer[],
    IN event_type_ids integer[],
    IN event_sequences bigint[],
    IN event_times timestamptz[],
    IN event_references text[],
    IN event_metadata text[],
    IN event_codecs smallint[],
    IN event_payloads bytea[],
    IN snapshot_aggregate_ids bigint[],
    IN snapshot_sequences bigint[],
    IN snapshot_fingerprints bigint[],
    IN snapshot_codecs smallint[],
    IN snapshot_payloads bytea[],
    OUT repeated boolean,
    OUT commit_receipt text,
    OUT commit_position bigint,
    OUT commit_time timestamptz
) LANGUAGE plpgsql SET enable_seqscan = off AS $function$
DECLARE
    change record;
    actual bigint;
    created bigint[];
    refused bigint;
    violated text;
BEGIN
    IF own_store IS NOT NULL AND NOT EXISTS (SELECT FROM {schema}.store AS store WHERE store.id = own_store) THEN
        RAISE EXCEPTION 'the transaction is one of another store' USING ERRCODE = 'EV004';
    END IF;

    -- The key: of several commits under one key the others wait here for the first.
    repeated := false;
    WHILE own_key IS NOT NULL LOOP
        INSERT INTO {schema}.idempotency_keys (key, receipt, committed_at)
        VALUES (own_key, own_receipt, clock_timestamp())
        ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        SELECT true, earlier.receipt, earlier.last_position, earlier.committed_at
        INTO repeated, commit_receipt, commit_position, commit_time
        FROM {schema}.idempotency_keys AS earlier
        WHERE earlier.key = own_key;
        IF FOUND THEN
            RETURN;
        END IF;
        -- It was forgotten between the two statements.
        repeated := false;
    END LOOP;

    -- Aggregates that should exist: each is locked, compared and moved on. A key that changes is given up
    -- first, so that keys can be swapped; one that is set to what it is is compared. What is found after a wait is
    -- found by a later statement.
    FOR change IN
        SELECT given.*
        FROM unnest(aggregate_ids, expected_versions, new_versions, old_keys, new_keys)
            AS given (id, expected, version, old_key, new_key)
        WHERE given.expected IS NOT NULL
    LOOP
        IF change.new_key IS DISTINCT FROM change.old_key THEN
            UPDATE {schema}.aggregates AS aggregate
            SET version = change.version, natural_key = NULL
            WHERE aggregate.id = change.id AND aggregate.version = change.expected
                AND aggregate.natural_key IS NOT DISTINCT FROM change.old_key;
        ELSIF change.version = change.expected THEN
            PERFORM FROM {schema}.aggregates AS aggregate
            WHERE aggregate.id = change.id AND aggregate.version = change.expected
                AND (change.old_key IS NULL OR aggregate.natural_key = change.old_key)
            FOR SHARE;
        ELSE
            UPDATE {schema}.aggregates AS aggregate
            SET version = change.version
            WHERE aggregate.id = change.id AND aggregate.version = change.expected
                AND (change.old_key IS NULL OR aggregate.natural_key = change.old_key);
        END IF;
        IF NOT FOUND THEN
            SELECT aggregate.version INTO actual FROM {schema}.aggregates AS aggregate WHERE aggregate.id = change.id;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'aggregate % does not exist', change.id
                    USING ERRCODE = 'EV002', DETAIL = change.id;
            END IF;
            RAISE EXCEPTION 'aggregate % is not as expected', change.id
                USING ERRCODE = 'EV001', DETAIL = format('%s %s', change.id, actual);
        END IF;
    END LOOP;

    -- New aggregates take their keys in the order of the keys: two commits never wait for each other here.
    WITH inserted AS (
        INSERT INTO {schema}.aggregates (id, type_id, version, natural_key)
        SELECT given.id, given.type_id, given.version, given.new_key
        FROM unnest(aggregate_ids, aggregate_type_ids, expected_versions, new_versions, new_keys)
            AS given (id, type_id, expected, version, new_key)
        WHERE given.expected IS NULL
        ORDER BY given.type_id, given.new_key, given.id
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT coalesce(array_agg(inserted.id), '{}') INTO created FROM inserted;
    IF cardinality(created) < cardinality(array_positions(expected_versions, NULL)) THEN
        SELECT given.id INTO refused
        FROM unnest(aggregate_ids, expected_versions) AS given (id, expected)
        WHERE given.expected IS NULL AND given.id <> ALL (created)
        ORDER BY given.id
        LIMIT 1;
        SELECT aggregate.version INTO actual FROM {schema}.aggregates AS aggregate WHERE aggregate.id = refused;
        IF FOUND THEN
            RAISE EXCEPTION 'aggregate % exists', refused
                USING ERRCODE = 'EV001', DETAIL = format('%s %s', refused, actual);
        END IF;
        RAISE EXCEPTION 'the natural key of aggregate % is taken', refused
            USING ERRCODE = 'EV003', DETAIL = refused;
    END IF;

    -- The keys that were given up above are replaced, in the order of the keys too. The block costs a savepoint
    -- for each of them.
    FOR change IN
        SELECT given.*
        FROM unnest(aggregate_ids, aggregate_type_ids, expected_versions, old_keys, new_keys)
            AS given (id, type_id, expected, old_key, new_key)
        WHERE given.expected IS NOT NULL AND given.new_key IS DISTINCT FROM given.old_key
        ORDER BY given.type_id, given.new_key
    LOOP
        BEGIN
            UPDATE {schema}.aggregates AS aggregate SET natural_key = change.new_key WHERE aggregate.id = change.id;
        EXCEPTION WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
            IF violated <> 'aggregates_natural_key' THEN
                RAISE;
            END IF;
            RAISE EXCEPTION 'the natural key of aggregate % is taken', change.id
                USING ERRCODE = 'EV003', DETAIL = change.id;
        END;
    END LOOP;

    -- Snapshots, in the order of the ids too: commits that only write snapshots share the locks above.
    IF cardinality(snapshot_aggregate_ids) > 0 THEN
        INSERT INTO {schema}.snapshots AS stored (aggregate_id, sequence, fingerprint, codec, payload)
        SELECT given.*
        FROM unnest(
            snapshot_aggregate_ids, snapshot_sequences, snapshot_fingerprints, snapshot_codecs, snapshot_payloads
        ) AS given (aggregate_id, sequence, fingerprint, codec, payload)
        ORDER BY given.aggregate_id
        ON CONFLICT (aggregate_id) DO UPDATE
        SET sequence = excluded.sequence, fingerprint = excluded.fingerprint, codec = excluded.codec,
            payload = excluded.payload
        WHERE excluded.sequence >= stored.sequence;
    END IF;

    -- Events, in the order in which they were applied. A clock that was set back stands still until it has
    -- caught up with the log.
    commit_time := clock_timestamp();
    IF cardinality(event_aggregate_ids) > 0 THEN
        SELECT greatest(commit_time, last.recorded_at) INTO commit_time
        FROM (SELECT) AS always
        LEFT JOIN (
            SELECT event.recorded_at FROM {schema}.events AS event ORDER BY event.position DESC LIMIT 1
        ) AS last ON true;
        WITH appended AS (
            INSERT INTO {schema}.events (
                aggregate_id, sequence, time, recorded_at, aggregate_type_id, event_type_id, codec, payload,
                reference, metadata
            )
            SELECT
                given.aggregate_id, given.sequence, given.time, commit_time, given.aggregate_type_id,
                given.event_type_id, given.codec, given.payload, given.reference, given.metadata
            FROM unnest(
                event_aggregate_ids, event_sequences, event_times, event_aggregate_type_ids, event_type_ids,
                event_codecs, event_payloads, event_references, event_metadata
            ) WITH ORDINALITY AS given (
                aggregate_id, sequence, time, aggregate_type_id, event_type_id, codec, payload, reference,
                metadata, place
            )
            ORDER BY given.place
            RETURNING position
        )
        SELECT max(appended.position) INTO commit_position FROM appended;
    END IF;

    IF own_key IS NOT NULL THEN
        UPDATE {schema}.idempotency_keys AS claimed
        SET last_position = commit_position, committed_at = commit_time
        WHERE claimed.key = own_key;
    END IF;
END;
$function$;
COMMENT ON FUNCTION {schema}.commit_v1 IS 'Writes the changes of one unit of work, all or nothing.';
