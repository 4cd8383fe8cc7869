-- deviation_from_average: each value against the mean of those in the :window before it, itself left out.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, turn, observed_at, value, reference, reference_at, change_percent)
SELECT q.instrument_id, q.metric, r.kind, r.window_seconds,
       row_number() OVER (PARTITION BY q.instrument_id, q.metric ORDER BY q.observed_at),
       q.observed_at, q.value, before.average, before.first_at, 100 * (q.value - before.average) / before.average
FROM judged_rules r
JOIN judged_quotes q ON q.instrument_id = r.instrument_id AND q.metric = r.metric
CROSS JOIN LATERAL (
  SELECT avg(CASE q.metric WHEN 'price' THEN price ELSE volume_24h END) AS average, min(observed_at) AS first_at
  FROM prices
  WHERE prices.instrument_id = q.instrument_id
    AND observed_at < q.observed_at AND observed_at >= q.observed_at - CAST(:window AS interval)
    AND observed_at >= :oldest AND observed_at <= :newest
) before
WHERE r.kind = 'deviation_from_average' AND make_interval(secs => r.window_seconds) = CAST(:window AS interval) AND before.average > 0;
