-- Drops unsent alerts of subscriptions that these users have ended since. OFFSET 0: see mark_alerts_notified.
UPDATE alerts SET state = 'dropped'
FROM (SELECT unnest(CAST(:user_ids AS bigint[])) AS user_id) u
CROSS JOIN LATERAL (SELECT id FROM subscriptions WHERE user_id = u.user_id AND status = 'unsubscribed' OFFSET 0) s
CROSS JOIN LATERAL (SELECT id FROM alerts WHERE subscription_id = s.id AND state IN ('new', 'held') OFFSET 0) a
WHERE alerts.id = a.id;
