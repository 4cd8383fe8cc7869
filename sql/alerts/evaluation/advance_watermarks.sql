-- What was judged is never judged again, and is what the next value is compared with.
UPDATE evaluation_watermarks m
SET evaluated_to = judged.evaluated_to, last_value = coalesce(told.value, m.last_value), last_at = coalesce(judged.told_at, m.last_at)
FROM (
  SELECT instrument_id, metric, max(observed_at) AS evaluated_to, max(observed_at) FILTER (WHERE value IS NOT NULL) AS told_at
  FROM judged_quotes GROUP BY instrument_id, metric
) judged
LEFT JOIN judged_quotes told
  ON told.instrument_id = judged.instrument_id AND told.metric = judged.metric AND told.observed_at = judged.told_at
WHERE m.instrument_id = judged.instrument_id AND m.metric = judged.metric;
