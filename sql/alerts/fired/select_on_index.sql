-- Alerts on a coin's index that fired since :since, newest first, at most :limit. Equal rules that fired at the same value are
-- one row, however many people have them: nothing tells whose they are.
SELECT a.observed_at, min(a.price) AS price, min(a.reference) AS reference, min(a.reference_at) AS reference_at,
       min(a.change_percent) AS change_percent, min(a.steps) AS steps, s.kind, s.metric, s.direction, s.threshold,
       s.window_seconds, s.ladder_percent, e.code AS exchange, i.base, i.quote, min(a.created_at) AS created_at
FROM alerts a
JOIN subscriptions s ON s.id = a.subscription_id
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
WHERE a.created_at >= :since AND e.code = 'index' AND i.base = :base
GROUP BY i.id, e.code, s.kind, s.metric, s.direction, s.threshold, s.window_seconds, s.ladder_percent, a.observed_at
ORDER BY a.observed_at DESC, s.kind, s.threshold
LIMIT :limit;
