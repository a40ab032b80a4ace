-- Who is told of commits is told at once: there is nothing in this transaction that a disk had to keep, nor a standby.
SELECT pg_notify($1, ''), set_config('synchronous_commit', 'off', true)
