-- change_since_last: each value against the one recorded before it. Nothing can be said against a zero.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, armed, direction, turn, turns, observed_at,
                   value, reference, reference_at, change_percent, reached)
WITH compared AS (
  SELECT instrument_id, metric, observed_at, value, last_value AS reference, last_at AS reference_at,
         100 * (value - last_value) / last_value AS change_percent,
         row_number() OVER (PARTITION BY instrument_id, metric ORDER BY observed_at) AS turn, 0 AS turns
  FROM judged_quotes
  WHERE value IS NOT NULL AND last_value > 0 AND value <> last_value
)
SELECT m.instrument_id, m.metric, r.kind, r.window_seconds, r.armed, r.direction, m.turn, m.turns, m.observed_at, m.value,
       m.reference, m.reference_at, m.change_percent, d.reached
FROM compared m
JOIN judged_rules r ON r.instrument_id = m.instrument_id AND r.metric = m.metric
CROSS JOIN LATERAL (
  SELECT (1 + 1e-12) * CASE r.direction WHEN 'up' THEN m.change_percent WHEN 'down' THEN -m.change_percent
                                        ELSE abs(m.change_percent) END AS reached
) d
WHERE r.kind = 'change_since_last'
  AND r.armed AND d.reached > 0 AND r.bound <= d.reached;
