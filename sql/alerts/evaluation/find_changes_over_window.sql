-- change_over_window: each value compared with the last one at or before :window earlier, unless that is older by more
-- than :slack. If no value was recorded then, as before the first one or in a long outage, the close of a one-minute candle
-- counts. Without the row comparison, the planner would assume that the range between :oldest and that time is
-- empty, and sort it instead of reading one value from the index. Values are divided by their divisors before they are
-- compared (see find_changes_since_last); the reference is stated in the terms of the value.
INSERT INTO changes (instrument_id, metric, kind, window_seconds, position, total, observed_at, value,
                     reference, reference_at, change_percent)
WITH compared AS (
  SELECT q.instrument_id, q.metric, q.observed_at, q.value, before.value * q.divisor AS reference, before.observed_at AS reference_at,
         100 * (q.value / q.divisor - before.value) / before.value AS change_percent,
         row_number() OVER (PARTITION BY q.instrument_id, q.metric ORDER BY q.observed_at) AS position,
         count(*) OVER (PARTITION BY q.instrument_id, q.metric) AS total
  FROM pending_quotes q
  LEFT JOIN LATERAL (
    SELECT prices.observed_at,
           CASE q.metric WHEN 'price' THEN price / coalesce(divisors[1], 1) ELSE volume_24h / coalesce(divisors[2], 1) END AS value
    FROM prices
    WHERE prices.instrument_id = q.instrument_id
      AND (prices.observed_at, prices.instrument_id) <= (q.observed_at - CAST(:window AS interval), q.instrument_id)
      AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
      AND prices.observed_at >= q.observed_at - CAST(:window AS interval) - CAST(:slack AS interval)
      AND (q.metric = 'price' OR volume_24h IS NOT NULL)
    ORDER BY prices.observed_at DESC LIMIT 1
  ) recorded ON true
  LEFT JOIN LATERAL (
    SELECT opened_at + interval '1 minute' AS observed_at,
           close / coalesce((SELECT price_divisor FROM index_divisors d
                             WHERE d.instrument_id = q.instrument_id AND d.started_at < opened_at + interval '1 minute'
                             ORDER BY d.started_at DESC LIMIT 1), 1) AS value
    FROM candles
    WHERE recorded.observed_at IS NULL AND q.metric = 'price'
      AND candles.instrument_id = q.instrument_id AND resolution = '1m'
      AND opened_at <= q.observed_at - CAST(:window AS interval) - interval '1 minute'
      AND opened_at >= q.observed_at - CAST(:window AS interval) - CAST(:slack AS interval)
    ORDER BY opened_at DESC LIMIT 1
  ) minute ON true
  CROSS JOIN LATERAL (
    SELECT coalesce(recorded.observed_at, minute.observed_at) AS observed_at, coalesce(recorded.value, minute.value) AS value
  ) before
  WHERE q.value IS NOT NULL AND before.value > 0
    AND (CAST(:instruments AS integer[]) IS NULL OR q.instrument_id = ANY (CAST(:instruments AS integer[])))
)
SELECT instrument_id, metric, :kind, :seconds, position, total, observed_at, value, reference, reference_at,
       change_percent
FROM compared
WHERE (1 + 1e-12) * abs(change_percent) >= :lowest;
