UPDATE {schema}.store SET next_aggregate_id = next_aggregate_id + $1 RETURNING next_aggregate_id - $1 AS first
