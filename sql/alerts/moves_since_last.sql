-- change_since_last and crosses: each value against the one recorded before it. Nothing can be said against a zero.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, turn, observed_at, value, reference, reference_at, change_percent)
SELECT q.instrument_id, q.metric, r.kind, 0,
       row_number() OVER (PARTITION BY q.instrument_id, q.metric, r.kind ORDER BY q.observed_at),
       q.observed_at, q.value, q.last_value, q.last_at, 100 * (q.value - q.last_value) / q.last_value
FROM judged_quotes q
JOIN judged_rules r ON r.instrument_id = q.instrument_id AND r.metric = q.metric
WHERE r.kind IN ('change_since_last', 'crosses') AND q.last_value > 0 AND q.value <> q.last_value;
