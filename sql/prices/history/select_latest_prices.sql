-- The newest price of every watched instrument, coins in configured order, with its change over 24 hours in percent: null
-- without a price, or else a one-minute candle, from 24 to 25 hours before it, or if it is more than a day old. :oldest and
-- :newest limit the prices that it is compared with, so that the planner prunes the partitions of other days. Prices of the
-- index are divided by their divisors before they are compared.
SELECT l.exchange, l.exchange_name, l.base, l.coin_name, l.quote, l.price, l.volume_24h, l.bid, l.ask, l.observed_at,
       greatest(0, CAST(extract(epoch FROM CAST(:now AS timestamptz) - l.observed_at) AS double precision)) AS age_seconds,
       100 * (l.price / coalesce(l.divisors[1], 1) - before.price) / before.price AS change_24h_percent,
       l.simulated
FROM latest_prices l
JOIN coins ON coins.code = l.base
LEFT JOIN LATERAL (
  SELECT coalesce((
    SELECT price / coalesce(divisors[1], 1) FROM prices
    WHERE CAST(:with_change AS boolean) AND prices.instrument_id = l.instrument_id AND observed_at > :oldest AND observed_at <= :newest
      AND observed_at <= l.observed_at - interval '24 hours' AND observed_at > l.observed_at - interval '25 hours'
    ORDER BY observed_at DESC LIMIT 1
  ), (
    SELECT close / coalesce((
      SELECT price_divisor FROM index_divisors d
      WHERE d.instrument_id = l.instrument_id AND d.started_at <= candles.opened_at ORDER BY d.started_at DESC LIMIT 1), 1)
    FROM candles
    WHERE CAST(:with_change AS boolean) AND candles.instrument_id = l.instrument_id AND resolution = '1m'
      AND opened_at <= l.observed_at - interval '24 hours 1 minute' AND opened_at > l.observed_at - interval '25 hours 1 minute'
    ORDER BY opened_at DESC LIMIT 1
  )) AS price
) before ON l.observed_at > CAST(:now AS timestamptz) - interval '24 hours'
WHERE (CAST(:coin AS text) IS NULL OR lower(:coin) IN (lower(l.base), lower(l.coin_name)))
  AND (CAST(:exchange AS text) IS NULL OR l.exchange = lower(:exchange))
ORDER BY coins.position, l.exchange <> 'index', l.exchange, l.quote;
