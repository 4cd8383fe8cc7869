-- For each index, the last price of every exchange in (:fresh_after, :newest], and the previous value of the index. Simulated
-- exchanges count only for coins that no real exchange is enabled for, even if that has no fresh price.
SELECT i.instrument_id AS index_id, i.pair, w.exchange, w.aggregator, p.price, p.volume_24h, p.observed_at,
       s.observed_at AS previous_at, s.price AS previous_price, s.volume AS previous_volume,
       NOT i.simulated AND EXISTS (
         SELECT FROM exchanges e WHERE e.simulated AND jsonb_exists(s.price -> 'counted', e.code)) AS was_simulated
FROM watched_instruments i
JOIN watched_instruments w ON w.base = i.base AND w.quote = i.quote AND w.exchange <> 'index' AND w.simulated = i.simulated
LEFT JOIN index_state s ON s.instrument_id = i.instrument_id
CROSS JOIN LATERAL (
  SELECT price, volume_24h, observed_at FROM prices
  WHERE prices.instrument_id = w.instrument_id AND observed_at > :fresh_after AND observed_at <= :newest
  ORDER BY observed_at DESC LIMIT 1
) p
WHERE i.exchange = 'index'
ORDER BY i.instrument_id, w.exchange;
