-- How far readers of the log have found it settled, for those who read a copy of it: a standby, or a database that
-- has subscribed to the tables. Which transactions are appending is known where the log is written, and only there.

CREATE TABLE {schema}.horizon (
    only_row boolean NOT NULL DEFAULT true,
    position bigint NOT NULL DEFAULT 0,
    published_at timestamptz,
    CONSTRAINT horizon_only_row PRIMARY KEY (only_row),
    CONSTRAINT horizon_has_one_row CHECK (only_row)
) WITH (fillfactor = 10);
INSERT INTO {schema}.horizon DEFAULT VALUES;
COMMENT ON TABLE {schema}.horizon IS 'How far the log is settled, for readers of copies of it.';
COMMENT ON COLUMN {schema}.horizon.position IS 'No event that becomes visible later has a position up to this one. It only grows.';
COMMENT ON COLUMN {schema}.horizon.published_at IS 'When it was last moved.';

-- Where the log is written it is NULL. On a copy, all events up to the row of horizon are there when that can be seen,
-- because transactions come in the order in which they were committed. For tables that are replicated one by one this
-- is so when one subscription brings both, and has finished the first copy of both.
CREATE VIEW {schema}.log_limit AS
SELECT
    CASE
        WHEN NOT pg_is_in_recovery() AND subscribed.logs = 0 THEN NULL
        WHEN subscribed.is_in_order THEN coalesce((SELECT horizon.position FROM {schema}.horizon AS horizon), 0)
        ELSE 0
    END AS position
FROM (
    SELECT
        count(*) FILTER (WHERE copied.srrelid = '{schema}.events'::regclass) AS logs,
        count(*) IN (0, 2)
            AND count(DISTINCT copied.srsubid) <= 1
            AND coalesce(bool_and(copied.srsubstate = 'r'), true) AS is_in_order
    FROM pg_subscription_rel AS copied
    WHERE copied.srrelid IN ('{schema}.events'::regclass, '{schema}.horizon'::regclass)
) AS subscribed;
COMMENT ON VIEW {schema}.log_limit IS 'On a copy of the log, how far it may be read, 0 when that is not known. NULL where the log is written: there readers find it out.';
