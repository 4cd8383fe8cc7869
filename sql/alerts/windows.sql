-- The windows to look back over, with the first and last moment that is judged.
SELECT r.kind, r.window_seconds, min(q.observed_at) AS oldest, max(q.observed_at) AS newest
FROM judged_rules r
JOIN judged_quotes q ON q.instrument_id = r.instrument_id AND q.metric = r.metric
WHERE r.window_seconds > 0
GROUP BY r.kind, r.window_seconds
ORDER BY r.kind, r.window_seconds;
