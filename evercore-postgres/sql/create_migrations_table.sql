CREATE TABLE IF NOT EXISTS {schema}.migrations (
    version bigint NOT NULL,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT migrations_version PRIMARY KEY (version)
);
COMMENT ON TABLE {schema}.migrations IS 'The steps that made this schema what it is.'
