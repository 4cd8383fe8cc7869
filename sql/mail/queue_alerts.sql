-- One mail per person for all alerts that no mail tells yet; runs in the transaction that made them. Alerts that came too
-- late to be news wait for one that did not.
WITH untold AS (
  SELECT a.id AS alert_id, a.subscription_id, a.observed_at, a.price, a.reference, a.reference_at, a.change_percent,
         a.missed, s.kind, s.metric, s.window_seconds, s.threshold, s.direction, s.user_id, s.instrument_id, u.email, u.timezone, e.code AS exchange, e.name AS exchange_name,
         i.base, i.quote, c.name AS coin_name,
         'alerts:' || u.id || ':' || min(a.id) OVER (PARTITION BY u.id) AS dedupe_key
  FROM alerts a
  JOIN subscriptions s ON s.id = a.subscription_id
  JOIN users u ON u.id = s.user_id
  JOIN instruments i ON i.id = s.instrument_id
  JOIN exchanges e ON e.id = i.exchange_id
  JOIN coins c ON c.code = i.base
  WHERE a.outbox_id IS NULL AND u.disabled_at IS NULL
), news AS (
  SELECT * FROM untold
  WHERE dedupe_key IN (SELECT dedupe_key FROM untold WHERE NOT missed)
), queued AS (
  INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, next_attempt_at, created_at)
  SELECT dedupe_key, user_id, email, 'alerts',
         jsonb_build_object('timezone', timezone, 'alerts', jsonb_agg(
           to_jsonb(news) - ARRAY['user_id', 'email', 'timezone', 'dedupe_key'] ORDER BY observed_at, alert_id)),
         :now, :now
  FROM news
  GROUP BY dedupe_key, user_id, email, timezone
  RETURNING id, dedupe_key
), told AS (
  UPDATE alerts SET outbox_id = queued.id
  FROM queued JOIN news USING (dedupe_key)
  WHERE alerts.id = news.alert_id
)
SELECT count(*) FROM queued;
