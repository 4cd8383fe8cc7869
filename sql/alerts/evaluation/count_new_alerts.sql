-- Alerts that fired in this run, by kind of rule; each finds its rule by the key, however many rules there are (OFFSET 0).
SELECT s.kind, count(*) AS alerts
FROM alerts a
CROSS JOIN LATERAL (SELECT kind FROM subscriptions WHERE id = a.subscription_id OFFSET 0) s
WHERE a.state = 'new'
GROUP BY s.kind;
