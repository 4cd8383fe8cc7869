-- Adds the pending quotes, which have been evaluated, to the extremes of their hour.
UPDATE period_extremes e
SET high = greatest(e.high, p.high[1]), high_at = CASE WHEN p.high[1] > e.high THEN to_timestamp(p.high[2]) ELSE e.high_at END,
    low = least(e.low, p.low[1]), low_at = CASE WHEN p.low[1] < e.low THEN to_timestamp(-p.low[2]) ELSE e.low_at END
FROM (
  SELECT instrument_id, metric, date_bin('1 hour', observed_at, '2000-01-01 00:00+00') AS hour,
         max(ARRAY[value / divisor, date_part('epoch', observed_at)]) AS high,
         min(ARRAY[value / divisor, -date_part('epoch', observed_at)]) AS low
  FROM pending_quotes WHERE value IS NOT NULL AND EXISTS (SELECT FROM period_extremes)
  GROUP BY 1, 2, 3
) p
WHERE e.instrument_id = p.instrument_id AND e.metric = p.metric AND e.hour = p.hour AND (p.high[1] > e.high OR p.low[1] < e.low);
