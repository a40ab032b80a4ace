SELECT id FROM {schema}.aggregates WHERE type_id = $1 AND natural_key = $2
