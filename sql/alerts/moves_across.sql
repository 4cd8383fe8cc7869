-- crosses: values that a level lies between, or at, coming from the one recorded before; a level left is not crossed.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, turn, turns, observed_at, value, reference, reference_at, change_percent)
SELECT instrument_id, metric, :kind, 0, turn, 0, observed_at, value, reference, reference_at, 100 * (value - reference) / reference
FROM (
  SELECT instrument_id, metric, q.observed_at, q.value, row_number() OVER in_time AS turn,
         coalesce(lag(q.value) OVER in_time, m.last_value) AS reference,
         coalesce(lag(q.observed_at) OVER in_time, m.last_at) AS reference_at
  FROM judged_quotes q
  JOIN match_watermarks m USING (instrument_id, metric)
  WHERE q.value IS NOT NULL
    AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])))
  WINDOW in_time AS (PARTITION BY instrument_id, metric ORDER BY q.observed_at)
) referred
WHERE value <> reference AND reference > 0
  AND greatest(value, reference) >= :lowest AND least(value, reference) <= :highest;
