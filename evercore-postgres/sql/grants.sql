GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT ON {schema}.migrations, {schema}.events_position, {schema}.event_log, {schema}.log_limit TO {role};
GRANT SELECT, INSERT ON {schema}.aggregate_types, {schema}.event_types, {schema}.events TO {role};
GRANT SELECT, UPDATE ON {schema}.store, {schema}.horizon TO {role};
GRANT SELECT, INSERT, UPDATE ON {schema}.aggregates, {schema}.snapshots TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.idempotency_keys TO {role};
GRANT USAGE ON SEQUENCE {schema}.subscription_tokens TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.subscriptions, {schema}.subscription_cursors TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.failed_deliveries TO {role};
