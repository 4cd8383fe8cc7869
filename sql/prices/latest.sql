-- The newest price of everything watched, coins in the order of the configuration, with its change over 24 hours (percent; null without a price of
-- 24 to 25 hours ago to compare with).
SELECT l.exchange, l.exchange_name, l.base, l.coin_name, l.quote, l.price, l.volume_24h, l.bid, l.ask, l.observed_at,
       100 * (l.price - before.price) / before.price AS change_24h_percent
FROM latest_prices l
JOIN coins ON coins.code = l.base
LEFT JOIN LATERAL (
  SELECT price FROM prices
  WHERE prices.instrument_id = l.instrument_id
    AND observed_at <= l.observed_at - interval '24 hours' AND observed_at > l.observed_at - interval '25 hours'
  ORDER BY observed_at DESC LIMIT 1
) before ON true
WHERE (CAST(:coin AS text) IS NULL OR lower(:coin) IN (lower(l.base), lower(l.coin_name)))
  AND (CAST(:exchange AS text) IS NULL OR l.exchange = lower(:exchange))
ORDER BY coins.position, l.exchange <> 'index', l.exchange, l.quote;
