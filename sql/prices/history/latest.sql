-- The newest price of everything watched, coins in the order of the configuration, with its change over 24 hours (percent;
-- null without a price of 24 to 25 hours before it, or when it is not of the last day itself). :oldest and :newest bound what
-- may be compared with, so that the partitions of other days are not even planned for.
SELECT l.exchange, l.exchange_name, l.base, l.coin_name, l.quote, l.price, l.volume_24h, l.bid, l.ask, l.observed_at,
       greatest(0, CAST(extract(epoch FROM CAST(:now AS timestamptz) - l.observed_at) AS double precision)) AS age_seconds,
       100 * (l.price - before.price) / before.price AS change_24h_percent
FROM latest_prices l
JOIN coins ON coins.code = l.base
LEFT JOIN LATERAL (
  SELECT price FROM prices
  WHERE prices.instrument_id = l.instrument_id AND observed_at > :oldest AND observed_at <= :newest
    AND observed_at <= l.observed_at - interval '24 hours' AND observed_at > l.observed_at - interval '25 hours'
  ORDER BY observed_at DESC LIMIT 1
) before ON CAST(:with_change AS boolean) AND l.observed_at > CAST(:now AS timestamptz) - interval '24 hours'
WHERE (CAST(:coin AS text) IS NULL OR lower(:coin) IN (lower(l.base), lower(l.coin_name)))
  AND (CAST(:exchange AS text) IS NULL OR l.exchange = lower(:exchange))
ORDER BY coins.position, l.exchange <> 'index', l.exchange, l.quote;
