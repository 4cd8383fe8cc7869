-- Alerts that fired in this run, by kind of rule. OFFSET 0 makes the planner look up each subscription by its primary
-- key, however many there are.
SELECT s.kind, count(*) AS alerts
FROM alerts a
CROSS JOIN LATERAL (SELECT kind FROM subscriptions WHERE id = a.subscription_id OFFSET 0) s
WHERE a.state = 'new'
GROUP BY s.kind;
