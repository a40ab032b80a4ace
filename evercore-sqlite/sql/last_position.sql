-- Of the events that this connection has inserted.
SELECT last_insert_rowid()
