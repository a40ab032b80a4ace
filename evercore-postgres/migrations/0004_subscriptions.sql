-- Who owns a subscription stands in one table, and how far it has come in another: a lease is renewed while a
-- transaction of its owner that has moved the cursor is still open. Whoever writes to both begins with the first.
-- Neither has an index on what changes, and pages keep space free for it.

CREATE SEQUENCE {schema}.subscription_tokens AS bigint INCREMENT 1 CACHE 1 NO CYCLE;
COMMENT ON SEQUENCE {schema}.subscription_tokens IS 'Draws the tokens by which owners of subscriptions are told apart. None is ever used again.';

CREATE TABLE {schema}.subscriptions (
    name text COLLATE "C" NOT NULL,
    filter text NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    failure text,
    token bigint NOT NULL,
    owner text,
    expires_at timestamptz,
    defined_at timestamptz NOT NULL,
    CONSTRAINT subscriptions_name PRIMARY KEY (name),
    CONSTRAINT subscriptions_name_is_short CHECK (octet_length(name) BETWEEN 1 AND 255),
    CONSTRAINT subscriptions_owner_has_a_lease CHECK ((owner IS NULL) = (expires_at IS NULL)),
    CONSTRAINT subscriptions_paused_has_no_owner CHECK (owner IS NULL OR NOT paused)
) WITH (fillfactor = 50);
COMMENT ON TABLE {schema}.subscriptions IS 'Durable subscriptions, and who owns them.';
COMMENT ON COLUMN {schema}.subscriptions.filter IS 'Which events it wants, as the library writes it.';
COMMENT ON COLUMN {schema}.subscriptions.paused IS 'Whether nobody may own it for now.';
COMMENT ON COLUMN {schema}.subscriptions.failure IS 'Why its last owner gave up.';
COMMENT ON COLUMN {schema}.subscriptions.token IS 'The token that was drawn last for it, one of the sequence subscription_tokens.';
COMMENT ON COLUMN {schema}.subscriptions.owner IS 'Who owns it; also when the lease has expired, until somebody else claims it.';
COMMENT ON COLUMN {schema}.subscriptions.expires_at IS 'When the lease of its owner expires, by the clock of the database.';
COMMENT ON COLUMN {schema}.subscriptions.defined_at IS 'When it was defined, by the clock of the database.';

CREATE TABLE {schema}.subscription_cursors (
    subscription text COLLATE "C" NOT NULL,
    token bigint,
    position bigint NOT NULL,
    moved_at timestamptz NOT NULL,
    anchor_position bigint,
    anchor_aggregate_id bigint,
    anchor_sequence bigint,
    anchor_recorded_at timestamptz,
    CONSTRAINT subscription_cursors_subscription PRIMARY KEY (subscription),
    CONSTRAINT subscription_cursors_subscription_exists FOREIGN KEY (subscription)
        REFERENCES {schema}.subscriptions (name) ON DELETE CASCADE,
    CONSTRAINT subscription_cursors_position_is_not_negative CHECK (position >= 0),
    CONSTRAINT subscription_cursors_anchor_is_whole CHECK (
        num_nulls(anchor_position, anchor_aggregate_id, anchor_sequence, anchor_recorded_at) IN (0, 4)
    )
) WITH (fillfactor = 50);
COMMENT ON TABLE {schema}.subscription_cursors IS 'How far each subscription has come.';
COMMENT ON COLUMN {schema}.subscription_cursors.subscription IS 'One of subscriptions.';
COMMENT ON COLUMN {schema}.subscription_cursors.token IS 'The token of its owner, with which alone it can be moved; NULL when it has none.';
COMMENT ON COLUMN {schema}.subscription_cursors.position IS 'Everything up to here was considered.';
COMMENT ON COLUMN {schema}.subscription_cursors.moved_at IS 'When it was moved or set, by the clock of the database.';
COMMENT ON COLUMN {schema}.subscription_cursors.anchor_position IS 'The last event that was delivered: its position, aggregate, sequence and time tell whether the log is still the same.';

CREATE TABLE {schema}.failed_deliveries (
    subscription text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    attempts bigint NOT NULL,
    error text NOT NULL,
    failed_at timestamptz NOT NULL,
    CONSTRAINT failed_deliveries_position PRIMARY KEY (subscription, position),
    CONSTRAINT failed_deliveries_subscription_exists FOREIGN KEY (subscription)
        REFERENCES {schema}.subscription_cursors (subscription) ON DELETE CASCADE,
    CONSTRAINT failed_deliveries_attempts_are_few CHECK (attempts BETWEEN 0 AND 4294967295)
);
COMMENT ON TABLE {schema}.failed_deliveries IS 'Events that subscriptions skipped because they could not be handled.';
COMMENT ON COLUMN {schema}.failed_deliveries.subscription IS 'One of subscriptions.';
COMMENT ON COLUMN {schema}.failed_deliveries.position IS 'The event, one of events.';
COMMENT ON COLUMN {schema}.failed_deliveries.attempts IS 'How often it was delivered.';
COMMENT ON COLUMN {schema}.failed_deliveries.error IS 'What the last attempt said.';
COMMENT ON COLUMN {schema}.failed_deliveries.failed_at IS 'When it was recorded, by the clock of the database.';
