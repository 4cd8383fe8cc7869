-- The latest price of every instrument at the end of the time range, and its change since 24 hours earlier.
-- No change if there is no price within the hour before that.
SELECT w.coin_name AS "Coin", w.pair AS "Pair", w.exchange_name AS "Exchange", p.price AS "Price",
  100 * (p.price - before.price) / before.price AS "24h change",
  p.volume_24h AS "24h volume",
  200 * (p.ask - p.bid) / (p.ask + p.bid) AS "Spread",
  extract(epoch FROM $__timeTo()::timestamptz - p.observed_at)::double precision AS "Age"
FROM watched_instruments w
CROSS JOIN LATERAL (
  SELECT h.observed_at, h.price, h.volume_24h, h.bid, h.ask
  FROM price_history h
  WHERE h.instrument_id = w.instrument_id AND h.observed_at <= $__timeTo()
  ORDER BY h.observed_at DESC
  LIMIT 1
) p
LEFT JOIN LATERAL (
  SELECT h.price
  FROM price_history h
  WHERE h.instrument_id = w.instrument_id
    AND h.observed_at <= p.observed_at - interval '24 hours'
    AND h.observed_at > p.observed_at - interval '25 hours'
  ORDER BY h.observed_at DESC
  LIMIT 1
) before ON true
WHERE w.exchange = ANY (ARRAY[${exchange:sqlstring}]::text[])
ORDER BY w.coin_name, w.exchange <> 'index', w.exchange_name, w.pair
