-- Instruments, watched now or earlier, by exchange, coin and currency, with the time of their last price: at most :limit
-- of those after (:after_exchange, :after_base, :after_quote), or the first ones if that is null.
SELECT e.code AS exchange, i.base, c.name AS coin_name, i.quote, i.symbol, w.instrument_id IS NOT NULL AS watched,
       q.observed_at AS last_price_at
FROM instruments i
JOIN exchanges e ON e.id = i.exchange_id
JOIN coins c ON c.code = i.base
LEFT JOIN watched_instruments w ON w.instrument_id = i.id
LEFT JOIN latest_quotes q ON q.instrument_id = i.id
WHERE (CAST(:exchange AS text) IS NULL OR e.code = lower(:exchange))
  AND (CAST(:coin AS text) IS NULL OR lower(:coin) IN (lower(i.base), lower(c.name)))
  AND (CAST(:after_exchange AS text) IS NULL
       OR (e.code, i.base, i.quote) > (CAST(:after_exchange AS text), CAST(:after_base AS text), CAST(:after_quote AS text)))
ORDER BY e.code, i.base, i.quote
LIMIT :limit;
