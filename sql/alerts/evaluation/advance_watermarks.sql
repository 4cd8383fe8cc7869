-- Marks the pending quotes as evaluated, and stores the last value, which the next one is compared with.
UPDATE evaluation_watermarks w
SET evaluated_to = evaluated.evaluated_to,
    last_value = coalesce(newest.value, w.last_value), last_at = coalesce(evaluated.value_at, w.last_at),
    last_divisor = coalesce(newest.divisor, w.last_divisor)
FROM (
  SELECT instrument_id, metric, max(observed_at) AS evaluated_to, max(observed_at) FILTER (WHERE value IS NOT NULL) AS value_at
  FROM pending_quotes GROUP BY instrument_id, metric
) evaluated
LEFT JOIN pending_quotes newest
  ON newest.instrument_id = evaluated.instrument_id AND newest.metric = evaluated.metric AND newest.observed_at = evaluated.value_at
WHERE w.instrument_id = evaluated.instrument_id AND w.metric = evaluated.metric;
