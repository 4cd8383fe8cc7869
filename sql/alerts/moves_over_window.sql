-- change_over_window: each value against the last one at or before :window earlier, if that is not older than :slack more.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, armed, direction, turn, turns, observed_at,
                   value, reference, reference_at, change_percent, reached)
WITH compared AS (
  SELECT q.instrument_id, q.metric, q.observed_at, q.value, before.value AS reference, before.observed_at AS reference_at,
         100 * (q.value - before.value) / before.value AS change_percent,
         row_number() OVER (PARTITION BY q.instrument_id, q.metric ORDER BY q.observed_at) AS turn,
         count(*) OVER (PARTITION BY q.instrument_id, q.metric) AS turns
  FROM judged_quotes q
  CROSS JOIN LATERAL (
    SELECT prices.observed_at, CASE q.metric WHEN 'price' THEN price ELSE volume_24h END AS value
    FROM prices
    WHERE prices.instrument_id = q.instrument_id
      AND prices.observed_at <= q.observed_at - CAST(:window AS interval)
      AND prices.observed_at >= q.observed_at - CAST(:window AS interval) - CAST(:slack AS interval)
      AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
      AND (q.metric = 'price' OR volume_24h IS NOT NULL)
    ORDER BY prices.observed_at DESC LIMIT 1
  ) before
  WHERE q.value IS NOT NULL AND before.value > 0
    AND EXISTS (
      SELECT FROM judged_rules
      WHERE instrument_id = q.instrument_id AND metric = q.metric AND kind = 'change_over_window' AND window_seconds = :seconds
    )
)
SELECT m.instrument_id, m.metric, r.kind, r.window_seconds, r.armed, r.direction, m.turn, m.turns, m.observed_at, m.value,
       m.reference, m.reference_at, m.change_percent, d.reached
FROM compared m
JOIN judged_rules r ON r.instrument_id = m.instrument_id AND r.metric = m.metric
CROSS JOIN LATERAL (
  SELECT (1 + 1e-12) * CASE r.direction WHEN 'up' THEN m.change_percent WHEN 'down' THEN -m.change_percent
                                        ELSE abs(m.change_percent) END AS reached
) d
WHERE r.kind = 'change_over_window' AND r.window_seconds = :seconds
  AND (NOT r.armed OR (d.reached > 0 AND r.bound <= d.reached));
