-- change_over_window: each value against the last one at or before :window earlier, if that is not older than :slack more.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, turn, observed_at, value, reference, reference_at, change_percent)
SELECT q.instrument_id, q.metric, r.kind, r.window_seconds,
       row_number() OVER (PARTITION BY q.instrument_id, q.metric ORDER BY q.observed_at),
       q.observed_at, q.value, before.value, before.observed_at, 100 * (q.value - before.value) / before.value
FROM judged_rules r
JOIN judged_quotes q ON q.instrument_id = r.instrument_id AND q.metric = r.metric
CROSS JOIN LATERAL (
  SELECT observed_at, CASE q.metric WHEN 'price' THEN price ELSE volume_24h END AS value
  FROM prices
  WHERE prices.instrument_id = q.instrument_id
    AND observed_at <= q.observed_at - CAST(:window AS interval)
    AND observed_at >= q.observed_at - CAST(:window AS interval) - CAST(:slack AS interval)
    AND observed_at >= :oldest AND observed_at <= :newest
    AND CASE q.metric WHEN 'price' THEN price ELSE volume_24h END IS NOT NULL
  ORDER BY observed_at DESC LIMIT 1
) before
WHERE r.kind = 'change_over_window' AND make_interval(secs => r.window_seconds) = CAST(:window AS interval) AND before.value > 0;
