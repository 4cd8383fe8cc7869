-- change_since_last: each value against the one recorded before it. Nothing can be said against a zero.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, turn, turns, observed_at, value, reference, reference_at, change_percent)
SELECT instrument_id, metric, :kind, 0, turn, 0, observed_at, value, last_value, last_at, change_percent
FROM judged_quotes
CROSS JOIN LATERAL (SELECT 100 * (value - last_value) / last_value AS change_percent) compared
WHERE value <> last_value AND last_value > 0 AND (1 + 1e-12) * abs(change_percent) >= :lowest
  AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])));
