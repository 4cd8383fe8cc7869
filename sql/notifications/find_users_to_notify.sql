-- Finds users with new alerts and held users whose time to recheck has come, and decides whether each is notified now.
-- :emails_per_day is the limit per address, null for none. OFFSET 0 keeps the planner from flattening the subqueries.
WITH candidates AS (
  SELECT user_id, min(since) AS since
  FROM (
    SELECT s.user_id, a.created_at AS since
    FROM alerts a
    CROSS JOIN LATERAL (SELECT user_id FROM subscriptions WHERE id = a.subscription_id OFFSET 0) s
    WHERE a.state = 'new'
    UNION ALL
    SELECT user_id, since FROM held_users WHERE recheck_at <= :now
  ) waiting
  GROUP BY user_id
), settings AS (
  SELECT u.id AS user_id, least(c.since, h.since) AS since, h.reason AS held_for, u.suppressed_at, u.timezone,
         end_of_quiet_hours(:now, u.timezone, u.quiet_from, u.quiet_until) AS end_of_quiet_hours,
         u.digest, coalesce(u.digest_sent_at, '-infinity') AS digest_sent_at, local_time(:now, u.timezone) AS local_now
  FROM candidates c
  CROSS JOIN LATERAL (SELECT * FROM users WHERE id = c.user_id OFFSET 0) u
  LEFT JOIN LATERAL (SELECT * FROM held_users WHERE user_id = c.user_id OFFSET 0) h ON true
), digests AS (
  SELECT *,
         date_trunc(CASE digest WHEN 'weekly' THEN 'week' ELSE 'day' END, local_now - interval '8 hours') + interval '8 hours'
           AS digest_time,
         CASE digest WHEN 'weekly' THEN interval '7 days' ELSE interval '1 day' END AS digest_period
  FROM settings
), decided AS (
  SELECT d.*, o.emails, o.limited_until,
         CASE
           WHEN suppressed_at IS NOT NULL THEN 'suppressed'
           WHEN digest <> 'none' AND from_local_time(digest_time, timezone) < since THEN 'digest'
           WHEN digest <> 'none' AND from_local_time(digest_time, timezone) <= digest_sent_at THEN 'digest'
           WHEN end_of_quiet_hours IS NOT NULL THEN 'quiet_hours'
           WHEN o.limited_until > :now THEN 'daily_limit'
         END AS reason
  FROM digests d
  CROSS JOIN LATERAL (
    SELECT count(*) AS emails,
           (array_agg(created_at ORDER BY created_at DESC))[CAST(:emails_per_day AS integer)] + interval '24 hours'
             AS limited_until
    FROM outbox
    WHERE user_id = d.user_id AND created_at > CAST(:now AS timestamptz) - interval '24 hours'
      AND channel = 'email' AND kind IN ('alerts', 'digest')
  ) o
)
INSERT INTO users_to_notify (user_id, since, held_for, reason, recheck_at, limit_reached)
SELECT user_id, since, held_for, reason,
       CASE reason
         WHEN 'digest' THEN from_local_time(digest_time + digest_period, timezone)
         WHEN 'quiet_hours' THEN end_of_quiet_hours
         WHEN 'daily_limit' THEN limited_until
         ELSE 'infinity'
       END,
       CASE WHEN emails + 1 >= CAST(:emails_per_day AS integer) THEN CAST(:emails_per_day AS integer) END
FROM decided
RETURNING user_id, reason;
