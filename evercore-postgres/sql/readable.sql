-- What a statement that reads the log begins with. $1 to $4 are an event that was read before: its position, its
-- aggregate, its number there, and when it was recorded; there is none when $1 is 0.
--
-- `readable` is -1 when that event is not there any more. Otherwise it is NULL where the log is written, and on a copy
-- of the log it says how far that may be read. A copy that has not come as far as that event cannot tell whether it is
-- there. It is found out once in a statement (MATERIALIZED): a standby that is promoted meanwhile would give two answers.
--
-- `server_started` tells servers apart, where the log is written; what is said of a copy holds for that answer alone.
--
-- `about` is the first row of a page of events. It says what is true of the whole answer, which costs less than to say
-- it with each event.
WITH readable AS MATERIALIZED (
    SELECT CASE
        WHEN $1 = 0 OR log_limit.position < $1 THEN log_limit.position
        WHEN EXISTS (
            SELECT FROM {schema}.events AS read
            WHERE read.position = $1
                AND read.aggregate_id = $2
                AND read.sequence = $3
                AND read.recorded_at = $4
        ) THEN log_limit.position
        ELSE -1
    END AS position
    FROM {schema}.log_limit AS log_limit
),
about AS (
    SELECT
        readable.position AS readable,
        NULL::bigint AS position,
        NULL::bigint AS aggregate_id,
        NULL::integer AS aggregate_type_id,
        NULL::integer AS event_type_id,
        NULL::bigint AS sequence,
        NULL::timestamptz AS time,
        NULL::timestamptz AS recorded_at,
        NULL::text AS reference,
        NULL::text AS metadata,
        NULL::smallint AS codec,
        NULL::bytea AS payload,
        CASE WHEN readable.position IS NULL THEN pg_postmaster_start_time() END AS server_started
    FROM readable
)
