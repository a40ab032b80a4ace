-- Where durable subscriptions keep their cursors, and who owns them.

-- One row: the fencing token that was drawn last. Subscriptions come and go, it only grows.
CREATE TABLE evercore_last_fencing_token (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    token INTEGER NOT NULL CHECK (token >= 0)
) STRICT;
INSERT INTO evercore_last_fencing_token (only_row, token) VALUES (1, 0);

-- The anchor is the last event that was delivered.
CREATE TABLE evercore_subscriptions (
    name TEXT PRIMARY KEY NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 255),
    filter TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    anchor_position INTEGER,
    anchor_aggregate_id INTEGER,
    anchor_sequence INTEGER,
    anchor_recorded_at INTEGER,
    paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    failure TEXT,
    token INTEGER NOT NULL CHECK (token >= 1),
    owner TEXT,
    expires_at INTEGER,
    defined_at INTEGER NOT NULL,
    moved_at INTEGER NOT NULL,
    CHECK ((anchor_position IS NULL) = (anchor_aggregate_id IS NULL)),
    CHECK ((anchor_position IS NULL) = (anchor_sequence IS NULL)),
    CHECK ((anchor_position IS NULL) = (anchor_recorded_at IS NULL)),
    CHECK ((owner IS NULL) = (expires_at IS NULL)),
    CHECK (paused = 0 OR owner IS NULL)
) STRICT, WITHOUT ROWID;

-- Events that a subscription skipped because they could not be handled.
CREATE TABLE evercore_failed_deliveries (
    subscription TEXT NOT NULL REFERENCES evercore_subscriptions (name) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    error TEXT NOT NULL,
    failed_at INTEGER NOT NULL,
    PRIMARY KEY (subscription, position)
) STRICT, WITHOUT ROWID;
