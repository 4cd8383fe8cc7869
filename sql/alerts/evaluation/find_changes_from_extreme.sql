-- new_high and new_low: each value beyond the highest (:sign 1) or lowest (-1) value of the period before it, compared with
-- that. A difference within floating-point accuracy is none. The reference is stated in the terms of the value, see
-- find_changes_since_last.
INSERT INTO changes (instrument_id, metric, kind, window_seconds, position, total, observed_at, value,
                     reference, reference_at, change_percent)
WITH beyond AS (
  SELECT q.instrument_id, q.metric, q.observed_at, q.value, q.divisor, e.hour,
         ARRAY[:sign * q.value / q.divisor, date_part('epoch', q.observed_at)] AS own,
         CASE WHEN CAST(:sign AS integer) > 0 THEN ARRAY[e.high, date_part('epoch', e.high_at)]
              ELSE ARRAY[-e.low, date_part('epoch', e.low_at)] END AS extreme
  FROM pending_quotes q
  JOIN period_extremes e ON e.instrument_id = q.instrument_id AND e.metric = q.metric AND e.window_seconds = :seconds
    AND e.hour = date_bin('1 hour', q.observed_at, '2000-01-01 00:00+00')
  WHERE q.value IS NOT NULL
    AND CASE WHEN CAST(:sign AS integer) > 0 THEN q.value / q.divisor > e.high ELSE q.value / q.divisor < e.low END
    AND (CAST(:instruments AS integer[]) IS NULL OR q.instrument_id = ANY (CAST(:instruments AS integer[])))
), referred AS (
  SELECT *, row_number() OVER (PARTITION BY instrument_id, metric ORDER BY observed_at) AS position,
         greatest(extreme, max(own) OVER (PARTITION BY instrument_id, metric, hour ORDER BY observed_at
                                          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS before
  FROM beyond
), compared AS (
  SELECT *, 100 * (own[1] - before[1]) / nullif(:sign * before[1], 0) AS change_percent FROM referred
)
SELECT instrument_id, metric, :kind, :seconds, position, 0, observed_at, value, :sign * before[1] * divisor, to_timestamp(before[2]),
       :sign * change_percent
FROM compared
WHERE change_percent > 1e-10 AND (1 + 1e-12) * change_percent >= :lowest;
