-- crosses: values that a level lies between, or at, coming from the one recorded before; a level left is not crossed.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, turn, turns, observed_at, value, reference, reference_at, change_percent)
SELECT instrument_id, metric, :kind, 0, turn, 0, observed_at, value, reference, reference_at, 100 * (value - reference) / reference
FROM (
  SELECT instrument_id, metric, observed_at, value, row_number() OVER in_time AS turn,
         lag(value) OVER in_time AS reference, lag(observed_at) OVER in_time AS reference_at
  FROM (
    SELECT instrument_id, metric, last_at AS observed_at, last_value AS value FROM evaluation_watermarks
    UNION ALL
    SELECT instrument_id, metric, observed_at, value FROM judged_quotes
  ) known
  WHERE value IS NOT NULL AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])))
  WINDOW in_time AS (PARTITION BY instrument_id, metric ORDER BY observed_at ROWS UNBOUNDED PRECEDING)
) referred
WHERE value <> reference AND reference > 0
  AND greatest(value, reference) >= :lowest AND least(value, reference) <= :highest;
