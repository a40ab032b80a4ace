SELECT event.aggregate_id, event.sequence FROM {schema}.events AS event WHERE event.position = $1
