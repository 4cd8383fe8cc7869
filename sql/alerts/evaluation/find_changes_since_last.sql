-- change_since_last and crosses: each value compared with the one before it. Nothing is compared with zero. A change is
-- kept if it reaches the lowest threshold; for crosses, if it touches the range of levels. The reference is stated in the
-- terms of the value: as if the exchanges counted in it had been counted before. A difference within floating-point
-- accuracy is none: it would cross a level.
INSERT INTO changes (instrument_id, metric, kind, window_seconds, position, total, observed_at, value,
                     reference, reference_at, change_percent)
SELECT instrument_id, metric, :kind, 0, position, 0, observed_at, value, reference, reference_at, change_percent
FROM (
  SELECT instrument_id, metric, observed_at, value, row_number() OVER in_time AS position,
         lag(value) OVER in_time AS last_value, divisor / lag(divisor) OVER in_time AS rescaled, lag(observed_at) OVER in_time AS reference_at
  FROM (
    SELECT instrument_id, metric, last_at AS observed_at, last_value AS value, last_divisor AS divisor FROM evaluation_watermarks
    UNION ALL
    SELECT instrument_id, metric, observed_at, value, divisor FROM pending_quotes
  ) known
  WHERE value IS NOT NULL
    AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])))
  WINDOW in_time AS (PARTITION BY instrument_id, metric ORDER BY observed_at ROWS UNBOUNDED PRECEDING)
) referred
CROSS JOIN LATERAL (
  SELECT CASE WHEN rescaled <> 1 AND abs(last_value * rescaled - value) < 1e-12 * value THEN value ELSE last_value * rescaled END AS reference
) restated
CROSS JOIN LATERAL (SELECT 100 * (value - reference) / nullif(reference, 0) AS change_percent) compared
WHERE value <> reference AND reference > 0
  AND CASE CAST(:kind AS text)
        WHEN 'crosses' THEN greatest(value, reference) >= :lowest AND least(value, reference) <= :highest
        ELSE (1 + 1e-12) * abs(change_percent) >= :lowest
      END;
