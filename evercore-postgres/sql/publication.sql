CREATE PUBLICATION {schema} FOR TABLE
    {schema}.store, {schema}.horizon, {schema}.aggregate_types, {schema}.event_types, {schema}.aggregates,
    {schema}.events, {schema}.snapshots, {schema}.idempotency_keys;
