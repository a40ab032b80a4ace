SELECT event.aggregate_id, event.sequence, event.recorded_at FROM {schema}.events AS event WHERE event.position = $1
