-- Alerts that fired in this run, by kind of rule. OFFSET 0 has each find its subscription by the primary key, however
-- many subscriptions there are.
SELECT s.kind, count(*) AS alerts
FROM alerts a
CROSS JOIN LATERAL (SELECT kind FROM subscriptions WHERE id = a.subscription_id OFFSET 0) s
WHERE a.state = 'new'
GROUP BY s.kind;
