-- Instruments whose latest 24 h volume is zero or missing although there was one since :since, with the last known volume.
SELECT w.exchange, w.base, w.pair, l.volume_24h, l.observed_at, b.volume_24h AS before, b.observed_at AS before_at
FROM watched_instruments w
JOIN latest_quotes l ON l.instrument_id = w.instrument_id
CROSS JOIN LATERAL (
  SELECT volume_24h, observed_at FROM prices
  WHERE prices.instrument_id = w.instrument_id AND volume_24h > 0 AND observed_at >= :since AND observed_at <= :now
  ORDER BY observed_at DESC LIMIT 1
) b
WHERE w.exchange <> 'index' AND coalesce(l.volume_24h, 0) <= 0
ORDER BY w.exchange, w.pair;
