UPDATE evercore_next_aggregate_id SET id = id + ?1 RETURNING id - ?1
