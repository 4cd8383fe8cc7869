-- The newest value of each subject of new_high and new_low (an instrument, metric, kind and period), and the highest or lowest
-- value of its period up to now, which the next value has to pass; null without enough history, see compute_price_extremes.
-- A period starts on a full hour up to a week, on a UTC day beyond; 0 is all time. Prices are read from candles, and from
-- the last hours' quotes, which may not be in candles yet. Values are compared after dividing them by their divisors; a
-- candle has the one of its start.
SELECT subject.number, q.observed_at, q.value, abs(e.extreme[1]) * q.divisor AS reference, to_timestamp(e.extreme[2]) AS reference_at,
       100 * (q.value / q.divisor - abs(e.extreme[1])) / nullif(abs(e.extreme[1]), 0) AS change_percent
FROM unnest(CAST(:instrument_ids AS integer[]), CAST(:metrics AS text[]), CAST(:kinds AS text[]), CAST(:windows AS integer[]))
  WITH ORDINALITY subject (instrument_id, metric, kind, seconds, number)
CROSS JOIN LATERAL (
  SELECT observed_at, CASE metric WHEN 'price' THEN price ELSE volume_24h END AS value,
         coalesce(divisors[CASE metric WHEN 'price' THEN 1 ELSE 2 END], 1) AS divisor,
         date_bin('1 hour', observed_at, '2000-01-01 00:00+00') AS hour, date_bin('1 day', observed_at, '2000-01-01 00:00+00') AS day
  FROM latest_quotes WHERE latest_quotes.instrument_id = subject.instrument_id
) q
CROSS JOIN LATERAL (
  SELECT CASE kind WHEN 'new_high' THEN 1 ELSE -1 END AS sign, seconds IN (86400, 604800) AS is_short,
         CASE WHEN seconds = 0 THEN '-infinity' WHEN seconds <= 604800 THEN q.hour - make_interval(secs => seconds)
              ELSE date_bin('1 day', q.hour - make_interval(secs => seconds), '2000-01-01 00:00+00') END AS starts_at,
         EXISTS (SELECT FROM index_divisors d WHERE d.instrument_id = subject.instrument_id) AS chained
) period
LEFT JOIN LATERAL (
  SELECT max(ARRAY[sign * value, extract(epoch FROM at)]) AS extreme
  FROM (
    SELECT CASE WHEN sign > 0 THEN high ELSE low END / coalesce(price_divisor, 1), opened_at
    FROM candles c
    LEFT JOIN LATERAL (
      SELECT price_divisor FROM index_divisors d
      WHERE chained AND d.instrument_id = c.instrument_id AND d.started_at <= c.opened_at
      ORDER BY d.started_at DESC LIMIT 1
    ) divisor ON true
    WHERE metric = 'price' AND c.instrument_id = subject.instrument_id
      AND (resolution = '1h' AND opened_at >= CASE WHEN is_short THEN starts_at ELSE q.day END
           OR resolution = '1d' AND NOT is_short AND opened_at >= starts_at AND opened_at < q.day)
    UNION ALL
    SELECT CASE metric WHEN 'price' THEN price / coalesce(divisors[1], 1) ELSE volume_24h / coalesce(divisors[2], 1) END, prices.observed_at
    FROM prices
    WHERE prices.instrument_id = subject.instrument_id AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
      AND prices.observed_at >= CASE metric WHEN 'price' THEN q.hour - interval '1 hour' ELSE starts_at END
      AND (metric = 'price' OR volume_24h IS NOT NULL)
  ) of_period (value, at)
  HAVING CASE metric
    WHEN 'price' THEN EXISTS (
      SELECT FROM candles c
      WHERE c.instrument_id = subject.instrument_id
        AND resolution = CASE WHEN seconds IN (2592000, 31449600) THEN CAST('1d' AS candle_resolution) ELSE '1h' END
        AND opened_at <= CASE WHEN seconds = 0 THEN q.hour - interval '1 day' ELSE starts_at END)
    ELSE EXISTS (
      SELECT FROM prices
      WHERE prices.instrument_id = subject.instrument_id AND prices.observed_at >= :oldest AND prices.observed_at <= starts_at
        AND volume_24h IS NOT NULL) END
) e ON true
WHERE q.value IS NOT NULL
ORDER BY subject.number;
