-- Holds users whose alerts were not sent, with the reason and when to recheck; releases the others.
WITH waiting AS (
  SELECT user_id, coalesce(reason, 'late') AS reason, since, recheck_at
  FROM users_to_notify n
  WHERE outbox_id IS NULL AND (reason IS NOT NULL OR EXISTS (
    SELECT FROM (SELECT id FROM subscriptions WHERE user_id = n.user_id OFFSET 0) s
    CROSS JOIN LATERAL (SELECT FROM alerts WHERE subscription_id = s.id AND state IN ('new', 'held') OFFSET 0) a
  ))
), released AS (
  DELETE FROM held_users USING users_to_notify n
  WHERE held_users.user_id = n.user_id AND n.user_id NOT IN (SELECT user_id FROM waiting)
)
INSERT INTO held_users (user_id, reason, since, recheck_at)
SELECT user_id, reason, since, recheck_at FROM waiting
ON CONFLICT (user_id) DO UPDATE SET reason = excluded.reason, since = excluded.since, recheck_at = excluded.recheck_at;
