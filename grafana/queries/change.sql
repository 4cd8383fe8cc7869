-- Change of the coin over the 24 hours before the end of the time range, in percent, one value per exchange and pair.
SELECT w.exchange_name || ' ' || w.pair AS metric, 100 * (p.price - before.price) / before.price AS value
FROM watched_instruments w
CROSS JOIN LATERAL (
  SELECT h.observed_at, h.price
  FROM price_history h
  WHERE h.instrument_id = w.instrument_id AND h.observed_at <= $__timeTo()
  ORDER BY h.observed_at DESC
  LIMIT 1
) p
CROSS JOIN LATERAL (
  SELECT h.price
  FROM price_history h
  WHERE h.instrument_id = w.instrument_id
    AND h.observed_at <= p.observed_at - interval '24 hours'
    AND h.observed_at > p.observed_at - interval '25 hours'
  ORDER BY h.observed_at DESC
  LIMIT 1
) before
WHERE w.base = ${coin:sqlstring}
  AND w.exchange = ANY (ARRAY[${exchange:sqlstring}]::text[])
  AND w.quote = ANY (ARRAY[${quote:sqlstring}]::text[])
ORDER BY w.exchange <> 'index', 1
