-- Instruments of a coin (by code or name, ignoring case) on an exchange, watched or not.
SELECT i.id AS instrument_id, e.code AS exchange, i.base, i.quote
FROM instruments i
JOIN exchanges e ON e.id = i.exchange_id
JOIN coins c ON c.code = i.base
WHERE lower(:coin) IN (lower(c.code), lower(c.name)) AND e.code = lower(:exchange)
ORDER BY array_position(ARRAY['USD', 'USDT', 'USDC'], i.quote), i.quote;
