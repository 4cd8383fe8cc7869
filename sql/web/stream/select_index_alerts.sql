-- The alerts on indices that fired in (:after, :until], oldest first, without their subscribers: equal ones are one row.
SELECT i.base, i.quote, s.kind, s.metric, CASE WHEN a.change_percent < 0 THEN 'down' ELSE 'up' END AS direction, s.window_seconds,
       a.change_percent, a.price, a.observed_at, min(a.created_at) AS fired_at
FROM alerts a
JOIN subscriptions s ON s.id = a.subscription_id
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
WHERE a.created_at > :after AND a.created_at <= :until AND e.code = 'index'
GROUP BY i.base, i.quote, s.kind, s.metric, s.window_seconds, a.change_percent, a.price, a.observed_at
ORDER BY fired_at, i.base, s.kind, s.window_seconds
LIMIT :limit;
