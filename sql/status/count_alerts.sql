-- Alerts of the last 24 hours, by kind of rule.
SELECT s.kind, count(*) AS alerts
FROM alerts a
JOIN subscriptions s ON s.id = a.subscription_id
WHERE a.created_at > CAST(:now AS timestamptz) - interval '24 hours'
GROUP BY s.kind
ORDER BY s.kind;
