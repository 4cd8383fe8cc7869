-- crosses: values that a level lies between, or at, coming from the one recorded before; a level left is not crossed.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, turn, turns, observed_at, value, reference, reference_at, change_percent)
SELECT instrument_id, metric, :kind, 0, turn, 0, observed_at, value, last_value, last_at, 100 * (value - last_value) / last_value
FROM judged_quotes
WHERE value <> last_value AND last_value > 0
  AND greatest(value, last_value) >= :lowest AND least(value, last_value) <= :highest
  AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])));
