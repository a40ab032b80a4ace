-- A database in memory has no file; the engine has given it a number.
SELECT iif(list.file = '', 'memory ' || mark.application_id, list.file)
FROM pragma_database_list AS list, pragma_application_id AS mark
WHERE list.name = 'main'
