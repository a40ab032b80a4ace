SELECT true AS is_aggregate, id, name FROM {schema}.aggregate_types
UNION ALL
SELECT false AS is_aggregate, id, name FROM {schema}.event_types
