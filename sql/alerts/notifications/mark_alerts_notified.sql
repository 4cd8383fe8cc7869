-- Marks the unsent alerts of each user as notified by the email queued for that user. OFFSET 0 keeps the planner from
-- flattening the subqueries.
UPDATE alerts SET state = 'notified', outbox_id = q.outbox_id
FROM (SELECT unnest(CAST(:user_ids AS bigint[])) AS user_id, unnest(CAST(:outbox_ids AS bigint[])) AS outbox_id) q
CROSS JOIN LATERAL (SELECT id FROM subscriptions WHERE user_id = q.user_id AND status <> 'unsubscribed' OFFSET 0) s
CROSS JOIN LATERAL (SELECT id FROM alerts WHERE subscription_id = s.id AND state IN ('new', 'held') OFFSET 0) a
WHERE alerts.id = a.id;
