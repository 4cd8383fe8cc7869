-- Exchanges that have daily candles of a coin, with the currency and the first and last day.
SELECT e.code AS exchange, i.quote,
       (SELECT opened_at FROM candles c
        WHERE c.instrument_id = i.id AND c.resolution = '1d' ORDER BY opened_at LIMIT 1) AS first_at,
       (SELECT opened_at FROM candles c
        WHERE c.instrument_id = i.id AND c.resolution = '1d' ORDER BY opened_at DESC LIMIT 1) AS last_at
FROM instruments i
JOIN exchanges e ON e.id = i.exchange_id
WHERE i.base = :base
  AND EXISTS (SELECT FROM candles c WHERE c.instrument_id = i.id AND c.resolution = '1d')
ORDER BY e.code <> 'index', e.simulated, e.code, i.quote;
