SELECT id FROM {schema}.aggregates WHERE type_id = $1 AND id > $2 ORDER BY id LIMIT $3
