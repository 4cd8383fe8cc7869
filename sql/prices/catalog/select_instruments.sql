-- All instruments, watched or not.
SELECT i.id AS instrument_id, e.code AS exchange, i.base, i.quote, i.symbol
FROM instruments i
JOIN exchanges e ON e.id = i.exchange_id
ORDER BY e.code, i.base, i.quote;
