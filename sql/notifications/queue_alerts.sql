-- Queues one email with all unsent alerts for every user who may be notified now, and the same for their other
-- channels.
-- Late alerts wait for one that is not late, or for the digest. OFFSET 0 keeps the planner from flattening the
-- subqueries: if statistics were gathered while no alert was unsent, it expects that reading all of them for every user
-- is cheap.
WITH unsent AS (
  SELECT n.user_id, n.held_for, n.limit_reached, u.email, u.timezone, u.digest,
         array_remove(ARRAY[
           'email',
           CASE WHEN CAST(:channels AS boolean) AND u.channel_url IS NOT NULL THEN 'apprise' END,
           CASE WHEN CAST(:webhooks AS boolean) AND h.user_id IS NOT NULL THEN 'webhook' END], NULL) AS channels,
         own.*
  FROM users_to_notify n
  JOIN users u ON u.id = n.user_id
  LEFT JOIN webhooks h ON h.user_id = n.user_id AND h.disabled_at IS NULL
  CROSS JOIN LATERAL (
    SELECT a.id AS alert_id, a.late, a.observed_at,
           jsonb_build_object(
             'alert_id', a.id, 'subscription_id', a.subscription_id, 'instrument_id', s.instrument_id,
             'observed_at', a.observed_at, 'price', a.price, 'reference', a.reference, 'reference_at', a.reference_at,
             'change_percent', a.change_percent, 'steps', a.steps, 'late', a.late, 'kind', s.kind, 'metric', s.metric,
             'window_seconds', s.window_seconds, 'threshold', s.threshold, 'ladder_percent', s.ladder_percent, 'direction', s.direction,
             'exchange', e.code, 'exchange_name', e.name, 'simulated', coalesce(w.simulated, e.simulated), 'base', i.base,
             'quote', i.quote, 'coin_name', c.name, 'repeat', s.repeat) AS alert
    FROM (SELECT * FROM subscriptions WHERE user_id = n.user_id AND status <> 'unsubscribed' OFFSET 0) s
    CROSS JOIN LATERAL (SELECT * FROM alerts WHERE subscription_id = s.id AND state IN ('new', 'held') OFFSET 0) a
    JOIN instruments i ON i.id = s.instrument_id
    JOIN exchanges e ON e.id = i.exchange_id
    JOIN coins c ON c.code = i.base
    LEFT JOIN watched_instruments w ON w.instrument_id = i.id
    OFFSET 0
  ) own
  WHERE n.reason IS NULL
), emails AS (
  SELECT user_id, email, digest, channels, min(alert_id) AS first_alert_id,
         jsonb_build_object(
           'timezone', timezone, 'limit_reached', limit_reached,
           'held', CASE WHEN digest <> 'none' THEN 'digest' WHEN held_for IN ('digest', 'quiet_hours', 'daily_limit') THEN held_for END,
           'alerts', jsonb_agg(alert ORDER BY observed_at, alert_id))
         || CASE WHEN digest <> 'none' THEN jsonb_build_object('period', digest) ELSE '{}' END AS payload
  FROM unsent
  GROUP BY user_id, email, digest, channels, timezone, limit_reached, held_for
  HAVING digest <> 'none' OR bool_or(NOT late)
), queued AS (
  INSERT INTO outbox (dedupe_key, user_id, recipient, kind, channel, payload, next_attempt_at, created_at)
  SELECT 'alerts:' || user_id || ':' || first_alert_id || CASE channel WHEN 'email' THEN '' ELSE ':' || channel END,
         user_id, email, CASE WHEN digest = 'none' THEN 'alerts' ELSE 'digest' END, channel, payload, :now, :now
  FROM emails CROSS JOIN unnest(channels) AS channel
  RETURNING id, user_id, kind, channel
)
UPDATE users_to_notify SET outbox_id = queued.id FROM queued
WHERE users_to_notify.user_id = queued.user_id AND queued.channel = 'email'
RETURNING users_to_notify.user_id, outbox_id, kind;
