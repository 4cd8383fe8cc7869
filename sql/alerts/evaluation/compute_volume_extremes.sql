-- As compute_price_extremes, for the 24 h volume: it has no candles, so the volumes since :oldest are read, once an hour. Not
-- enough history: no volume was observed in the day before the period starts, or in its first hour.
INSERT INTO period_extremes (instrument_id, metric, window_seconds, hour, high, high_at, low, low_at)
WITH needed AS (
  SELECT h.instrument_id, h.hour, period.seconds, h.hour - make_interval(secs => seconds) AS starts_at
  FROM (
    SELECT DISTINCT instrument_id, date_bin('1 hour', observed_at, '2000-01-01 00:00+00') AS hour
    FROM pending_quotes
    WHERE metric = 'volume_24h' AND value IS NOT NULL
      AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])))
  ) h
  CROSS JOIN unnest(CAST(:periods AS integer[])) period (seconds)
  WHERE NOT EXISTS (
    SELECT FROM period_extremes e
    WHERE e.instrument_id = h.instrument_id AND e.metric = 'volume_24h' AND e.window_seconds = seconds AND e.hour = h.hour)
), known AS (
  SELECT i.instrument_id, date_bin('1 hour', p.observed_at, '2000-01-01 00:00+00') AS hour, p.observed_at <= w.evaluated_to AS evaluated,
         max(ARRAY[value, date_part('epoch', p.observed_at)]) AS high, min(ARRAY[value, -date_part('epoch', p.observed_at)]) AS low
  FROM (SELECT instrument_id, min(starts_at) - interval '1 day' AS first_at FROM needed GROUP BY instrument_id) i
  JOIN evaluation_watermarks w ON w.instrument_id = i.instrument_id AND w.metric = 'volume_24h'
  CROSS JOIN LATERAL (
    SELECT observed_at, volume_24h / coalesce(divisors[2], 1) AS value FROM prices
    WHERE prices.instrument_id = i.instrument_id AND observed_at >= i.first_at AND observed_at >= :oldest AND observed_at <= :newest
      AND volume_24h IS NOT NULL
    OFFSET 0
  ) p
  GROUP BY 1, 2, 3
), extremes AS (
  SELECT n.instrument_id, n.hour, n.seconds, k.hour <= n.starts_at AS enough, k.hour >= n.starts_at AS inside, k.hour < n.hour AS earlier, k.high, k.low
  FROM needed n
  CROSS JOIN LATERAL generate_series(n.starts_at - interval '1 day', n.hour, interval '1 hour') wanted (hour)
  JOIN known k ON k.instrument_id = n.instrument_id AND k.hour = wanted.hour AND (k.hour < n.hour OR k.evaluated)
)
SELECT instrument_id, 'volume_24h', seconds, hour, high[1], to_timestamp(high[2]), low[1], to_timestamp(-low[2])
FROM (
  SELECT instrument_id, seconds, hour, bool_or(enough) AND bool_or(inside AND earlier) AS enough,
         max(high) FILTER (WHERE inside) AS high, min(low) FILTER (WHERE inside) AS low
  FROM extremes
  GROUP BY instrument_id, seconds, hour
) found
WHERE enough;
