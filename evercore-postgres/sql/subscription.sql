TRUNCATE {schema}.store, {schema}.horizon;
CREATE SUBSCRIPTION {schema} CONNECTION 'host=… dbname=… user=… password=…' PUBLICATION {schema};
