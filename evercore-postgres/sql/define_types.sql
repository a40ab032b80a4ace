WITH aggregate_types AS (
    INSERT INTO {schema}.aggregate_types (name)
    SELECT given.name FROM unnest($1) AS given (name) ORDER BY given.name
    ON CONFLICT DO NOTHING
)
INSERT INTO {schema}.event_types (name)
SELECT given.name FROM unnest($2) AS given (name) ORDER BY given.name
ON CONFLICT DO NOTHING
