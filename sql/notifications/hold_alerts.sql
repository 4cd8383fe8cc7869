-- What could not be told is held, with the reason and the moment to look again; who was told waits for nothing more.
WITH held AS (
  UPDATE alerts SET state = 'held' WHERE state = 'new'
), waiting AS (
  SELECT user_id, coalesce(reason, 'late') AS reason, since, recheck_at
  FROM people_to_tell p
  WHERE outbox_id IS NULL AND (reason IS NOT NULL OR EXISTS (
    SELECT FROM (SELECT id FROM subscriptions WHERE user_id = p.user_id OFFSET 0) s
    CROSS JOIN LATERAL (SELECT FROM alerts WHERE subscription_id = s.id AND state IN ('new', 'held') OFFSET 0) a
  ))
), freed AS (
  DELETE FROM held_users USING people_to_tell p
  WHERE held_users.user_id = p.user_id AND p.user_id NOT IN (SELECT user_id FROM waiting)
)
INSERT INTO held_users (user_id, reason, since, recheck_at)
SELECT user_id, reason, since, recheck_at FROM waiting
ON CONFLICT (user_id) DO UPDATE SET reason = excluded.reason, since = excluded.since, recheck_at = excluded.recheck_at;
