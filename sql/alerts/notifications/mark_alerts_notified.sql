-- The unsent alerts of each user are in the email queued for that user.
UPDATE alerts SET state = 'notified', outbox_id = q.outbox_id
FROM unnest(CAST(:user_ids AS bigint[]), CAST(:outbox_ids AS bigint[])) q (user_id, outbox_id)
CROSS JOIN LATERAL (SELECT id FROM subscriptions WHERE user_id = q.user_id AND status <> 'unsubscribed' OFFSET 0) s
CROSS JOIN LATERAL (SELECT id FROM alerts WHERE subscription_id = s.id AND state IN ('new', 'held') OFFSET 0) a
WHERE alerts.id = a.id;
