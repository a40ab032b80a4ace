-- Functions such as to_regclass may remember that there was no such table, also when another session has made
-- it since: so the catalog itself is read.
SELECT
    EXISTS (
        SELECT FROM pg_namespace AS namespace WHERE format('"%s"', namespace.nspname) = '{schema}'
    ) AS has_schema,
    EXISTS (
        SELECT
        FROM pg_class AS class
        JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
        WHERE format('"%s"', namespace.nspname) = '{schema}' AND class.relname = 'migrations'
    ) AS has_table
