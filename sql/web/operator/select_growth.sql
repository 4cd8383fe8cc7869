-- The size on disk of each of the last whole days of prices.
SELECT day, pg_total_relation_size(relation) AS bytes
FROM price_partitions
WHERE day < CAST(:today AS date) AND day >= CAST(:today AS date) - CAST(:days AS integer)
ORDER BY day
