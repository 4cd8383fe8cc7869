-- All coins with their names and the exchanges that have them, tracked now or earlier.
SELECT c.code, c.name, array_agg(DISTINCT e.code) AS exchanges
FROM instruments i
JOIN coins c ON c.code = i.base
JOIN exchanges e ON e.id = i.exchange_id
GROUP BY c.code, c.name
ORDER BY c.code;
