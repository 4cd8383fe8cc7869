-- The state of the outbox and of held alerts, in one row; each count uses an index of exactly the rows it counts. For a
-- failed email, next_attempt_at is its last attempt. Addresses are removed from the most common errors.
SELECT
  (SELECT count(*) FROM outbox WHERE status = 'queued') AS queued,
  (SELECT min(created_at) FROM outbox WHERE status = 'queued') AS oldest_queued_at,
  (SELECT count(*) FROM outbox WHERE status = 'queued' AND attempts > 0 AND leased_until IS NULL) AS awaiting_retry,
  (SELECT mode() WITHIN GROUP (ORDER BY regexp_replace(last_error, '[^ <]+@[^ >]+', '…', 'g'))
   FROM (SELECT last_error FROM outbox WHERE status = 'queued' AND last_error IS NOT NULL LIMIT 1000) errors) AS most_common_error,
  (SELECT count(*) FROM outbox WHERE status = 'sent' AND sent_at > CAST(:now AS timestamptz) - interval '24 hours') AS sent_24h,
  (SELECT count(*) FROM outbox WHERE status = 'failed' AND next_attempt_at > CAST(:now AS timestamptz) - interval '24 hours')
    AS failed_24h,
  (SELECT mode() WITHIN GROUP (ORDER BY regexp_replace(last_error, '[^ <]+@[^ >]+', '…', 'g'))
   FROM (SELECT last_error FROM outbox
         WHERE status = 'failed' AND next_attempt_at > CAST(:now AS timestamptz) - interval '24 hours' AND last_error IS NOT NULL
         LIMIT 1000) errors) AS most_common_failure,
  CASE WHEN CAST(:emails_per_day AS integer) > 0 AND (
         SELECT count(*) FROM outbox
         WHERE status = 'sent' AND channel = 'email' AND sent_at > CAST(:now AS timestamptz) - interval '24 hours'
       ) >= CAST(:emails_per_day AS integer)
    THEN (SELECT count(*) FROM outbox WHERE status = 'queued' AND channel = 'email' AND next_attempt_at <= :now)
    ELSE 0
  END AS held_by_limit,
  (SELECT count(*) FROM alerts WHERE state IN ('new', 'held')) AS held_alerts,
  (SELECT coalesce(jsonb_object_agg(reason, users), '{}')
   FROM (SELECT reason, count(*) AS users FROM held_users GROUP BY reason) h) AS held_users,
  (SELECT count(*) FROM users WHERE suppressed_at IS NOT NULL) AS suppressed_addresses;
