-- Alerts that fired in this run, by kind of rule.
SELECT s.kind, count(*) AS alerts
FROM alerts a JOIN subscriptions s ON s.id = a.subscription_id
WHERE a.state = 'new'
GROUP BY s.kind;
