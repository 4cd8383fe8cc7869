-- One mail for every person who may be told, with all alerts that no mail tells yet, and the same for their other
-- channel. Alerts that came too late to be news wait for one that did not, or for the digest. Nobody hears of a rule from
-- which they unsubscribed. OFFSET 0 keeps the planner from flattening the look-ups away: to statistics of a quiet moment
-- no alert is untold, and reading all of them for every person looks cheap.
WITH unwanted AS (
  UPDATE alerts SET state = 'dropped'
  FROM people_to_tell p
  CROSS JOIN LATERAL (SELECT id FROM subscriptions WHERE user_id = p.user_id AND status = 'unsubscribed' OFFSET 0) s
  CROSS JOIN LATERAL (SELECT id FROM alerts WHERE subscription_id = s.id AND state IN ('new', 'held') OFFSET 0) a
  WHERE alerts.id = a.id AND p.reason IS NULL
), untold AS (
  SELECT p.user_id, p.held_for, p.last_today, u.email, u.timezone, u.digest,
         CASE WHEN CAST(:channels AS boolean) AND u.channel_url IS NOT NULL THEN ARRAY['email', 'apprise'] ELSE ARRAY['email'] END AS channels,
         mine.*
  FROM people_to_tell p
  JOIN users u ON u.id = p.user_id
  CROSS JOIN LATERAL (
    SELECT a.id AS alert_id, a.late, a.observed_at,
           jsonb_build_object(
             'alert_id', a.id, 'subscription_id', a.subscription_id, 'instrument_id', s.instrument_id,
             'observed_at', a.observed_at, 'price', a.price, 'reference', a.reference, 'reference_at', a.reference_at,
             'change_percent', a.change_percent, 'late', a.late, 'kind', s.kind, 'metric', s.metric,
             'window_seconds', s.window_seconds, 'threshold', s.threshold, 'direction', s.direction,
             'exchange', e.code, 'exchange_name', e.name, 'base', i.base, 'quote', i.quote, 'coin_name', c.name) AS alert
    FROM (SELECT * FROM subscriptions WHERE user_id = p.user_id AND status <> 'unsubscribed' OFFSET 0) s
    CROSS JOIN LATERAL (SELECT * FROM alerts WHERE subscription_id = s.id AND state IN ('new', 'held') OFFSET 0) a
    JOIN instruments i ON i.id = s.instrument_id
    JOIN exchanges e ON e.id = i.exchange_id
    JOIN coins c ON c.code = i.base
    OFFSET 0
  ) mine
  WHERE p.reason IS NULL
), mails AS (
  SELECT user_id, email, digest, channels, min(alert_id) AS first_alert_id,
         jsonb_build_object(
           'timezone', timezone, 'last_today', last_today,
           'held', CASE WHEN digest <> 'none' THEN 'digest' WHEN held_for IN ('digest', 'quiet', 'cap') THEN held_for END,
           'alerts', jsonb_agg(alert ORDER BY observed_at, alert_id))
         || CASE WHEN digest <> 'none' THEN jsonb_build_object('period', digest) ELSE '{}' END AS payload
  FROM untold
  GROUP BY user_id, email, digest, channels, timezone, last_today, held_for
  HAVING digest <> 'none' OR bool_or(NOT late)
), queued AS (
  INSERT INTO outbox (dedupe_key, user_id, recipient, kind, channel, payload, next_attempt_at, created_at)
  SELECT 'alerts:' || user_id || ':' || first_alert_id || CASE channel WHEN 'email' THEN '' ELSE ':' || channel END,
         user_id, email, CASE WHEN digest = 'none' THEN 'alerts' ELSE 'digest' END, channel, payload, :now, :now
  FROM mails CROSS JOIN unnest(channels) AS channel
  RETURNING id, user_id, kind, channel
), digested AS (
  UPDATE users SET digest_sent_at = :now FROM queued
  WHERE users.id = queued.user_id AND queued.kind = 'digest' AND queued.channel = 'email'
)
UPDATE people_to_tell SET outbox_id = queued.id FROM queued WHERE people_to_tell.user_id = queued.user_id AND queued.channel = 'email';
