-- crosses: values that a level lies between, or at, coming from the one recorded before; a level left is not crossed.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, armed, direction, turn, turns, observed_at,
                   value, reference, reference_at, change_percent, reached)
SELECT q.instrument_id, q.metric, r.kind, 0, r.armed, r.direction,
       row_number() OVER (PARTITION BY q.instrument_id, q.metric, r.direction ORDER BY q.observed_at), 0, q.observed_at,
       q.value, q.last_value, q.last_at, 100 * (q.value - q.last_value) / q.last_value, 0
FROM judged_quotes q
JOIN judged_rules r ON r.instrument_id = q.instrument_id AND r.metric = q.metric
WHERE r.kind = 'crosses' AND r.armed AND q.value <> q.last_value AND q.last_value > 0
  AND r.bound <= greatest(q.value, q.last_value)
  AND r.direction = ANY (ARRAY['either', CASE WHEN q.value > q.last_value THEN 'up' ELSE 'down' END]);
