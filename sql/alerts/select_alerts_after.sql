-- Alerts with ids above :alert_id, oldest first.
SELECT a.id, a.observed_at, e.code AS exchange, i.base, i.quote, a.price, a.reference, a.change_percent, s.kind, s.threshold,
       s.direction, s.window_seconds, s.ladder_percent, a.steps
FROM alerts a
JOIN subscriptions s ON s.id = a.subscription_id
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
WHERE a.id > :alert_id
ORDER BY a.id
LIMIT :limit;
