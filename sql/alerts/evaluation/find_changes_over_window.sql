-- change_over_window: each value compared with the last one at or before :window earlier, unless that is older by more
-- than :slack. Without the row comparison, the planner would assume that the range between :oldest and that time is
-- empty, and sort it instead of reading one value from the index.
INSERT INTO changes (instrument_id, metric, kind, window_seconds, position, total, observed_at, value,
                     reference, reference_at, change_percent)
WITH compared AS (
  SELECT q.instrument_id, q.metric, q.observed_at, q.value, before.value AS reference, before.observed_at AS reference_at,
         100 * (q.value - before.value) / before.value AS change_percent,
         row_number() OVER (PARTITION BY q.instrument_id, q.metric ORDER BY q.observed_at) AS position,
         count(*) OVER (PARTITION BY q.instrument_id, q.metric) AS total
  FROM pending_quotes q
  CROSS JOIN LATERAL (
    SELECT prices.observed_at, CASE q.metric WHEN 'price' THEN price ELSE volume_24h END AS value
    FROM prices
    WHERE prices.instrument_id = q.instrument_id
      AND (prices.observed_at, prices.instrument_id) <= (q.observed_at - CAST(:window AS interval), q.instrument_id)
      AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
      AND (q.metric = 'price' OR volume_24h IS NOT NULL)
    ORDER BY prices.observed_at DESC LIMIT 1
  ) before
  WHERE q.value IS NOT NULL AND before.value > 0
    AND before.observed_at >= q.observed_at - CAST(:window AS interval) - CAST(:slack AS interval)
    AND (CAST(:instruments AS integer[]) IS NULL OR q.instrument_id = ANY (CAST(:instruments AS integer[])))
)
SELECT instrument_id, metric, :kind, :seconds, position, total, observed_at, value, reference, reference_at,
       change_percent
FROM compared
WHERE (1 + 1e-12) * abs(change_percent) >= :lowest;
