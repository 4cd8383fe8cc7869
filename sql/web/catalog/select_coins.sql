-- The watched coins in configured order, with their exchanges and currencies.
SELECT c.code, c.name, array_agg(DISTINCT w.exchange ORDER BY w.exchange) AS exchanges,
       array_agg(DISTINCT w.quote ORDER BY w.quote) AS quotes
FROM watched_instruments w
JOIN coins c ON c.code = w.base
GROUP BY c.code, c.name, c.position
ORDER BY c.position;
