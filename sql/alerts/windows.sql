-- The windows to look back over, with the first and last moment that is judged.
SELECT r.kind, r.window_seconds, min(q.oldest) AS oldest, max(q.newest) AS newest
FROM judged_rules r
JOIN (
  SELECT instrument_id, metric, min(observed_at) AS oldest, max(observed_at) AS newest
  FROM judged_quotes GROUP BY instrument_id, metric
) q USING (instrument_id, metric)
WHERE r.window_seconds > 0
GROUP BY r.kind, r.window_seconds
ORDER BY r.kind, r.window_seconds;
