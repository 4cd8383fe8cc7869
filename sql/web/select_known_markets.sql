-- Every configured pair, whether or not its prices are fetched: by coin, then exchange.
SELECT e.code AS exchange, e.name AS exchange_name, i.base, c.name AS coin_name, i.quote, e.simulated
FROM instruments i
JOIN exchanges e ON e.id = i.exchange_id
JOIN coins c ON c.code = i.base
WHERE i.enabled AND c.enabled AND e.code <> 'index'
ORDER BY i.base, e.name, i.quote;
