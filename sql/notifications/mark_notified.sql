-- The alerts that the mails of this run tell, looked up as queue_alerts does.
UPDATE alerts SET state = 'notified', outbox_id = p.outbox_id
FROM people_to_tell p
CROSS JOIN LATERAL (SELECT id FROM subscriptions WHERE user_id = p.user_id AND status <> 'unsubscribed' OFFSET 0) s
CROSS JOIN LATERAL (SELECT id FROM alerts WHERE subscription_id = s.id AND state IN ('new', 'held') OFFSET 0) a
WHERE alerts.id = a.id AND p.outbox_id IS NOT NULL;
