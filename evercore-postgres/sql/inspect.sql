SELECT
    pg_postmaster_start_time() AS server_started,
    current_setting('server_version_num')::integer AS server_version,
    getdatabaseencoding()::text AS encoding,
    '{schema}.events_position' AS sequence,
    numbering.seqincrement AS increment,
    numbering.seqcache AS cache,
    numbering.seqcycle AS cycle,
    CASE WHEN drawn.is_called THEN drawn.last_value ELSE drawn.last_value - 1 END AS last_drawn,
    coalesce((SELECT max(event.position) FROM {schema}.events AS event), 0) AS head,
    (SELECT log_limit.position FROM {schema}.log_limit AS log_limit) IS NOT NULL AND NOT pg_is_in_recovery()
        AS is_subscribed,
    store.id::text AS store
FROM pg_sequence AS numbering, {schema}.events_position AS drawn, {schema}.store AS store
WHERE numbering.seqrelid = '{schema}.events_position'::regclass
