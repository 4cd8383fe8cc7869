-- deviation_from_average: each value against the mean of those in the :window before it, itself left out.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, armed, direction, turn, turns, observed_at,
                   value, reference, reference_at, change_percent, reached)
WITH compared AS (
  SELECT q.instrument_id, q.metric, q.observed_at, q.value, before.average AS reference, before.first_at AS reference_at,
         100 * (q.value - before.average) / before.average AS change_percent,
         row_number() OVER (PARTITION BY q.instrument_id, q.metric ORDER BY q.observed_at) AS turn,
         count(*) OVER (PARTITION BY q.instrument_id, q.metric) AS turns
  FROM judged_quotes q
  CROSS JOIN LATERAL (
    SELECT avg(CASE q.metric WHEN 'price' THEN price ELSE volume_24h END) AS average, min(prices.observed_at) AS first_at
    FROM prices
    WHERE prices.instrument_id = q.instrument_id
      AND prices.observed_at < q.observed_at AND prices.observed_at >= q.observed_at - CAST(:window AS interval)
      AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
  ) before
  WHERE q.value IS NOT NULL AND before.average > 0
    AND EXISTS (
      SELECT FROM judged_rules
      WHERE instrument_id = q.instrument_id AND metric = q.metric AND kind = 'deviation_from_average'
        AND window_seconds = :seconds
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
WHERE r.kind = 'deviation_from_average' AND r.window_seconds = :seconds
  AND (NOT r.armed OR (d.reached > 0 AND r.bound <= d.reached));
