-- Subscriptions whose date has passed, with what the person has to know of it, though not in their quiet hours.
WITH expired AS (
  UPDATE subscriptions SET status = 'expired' WHERE status IN ('active', 'paused') AND expires_at <= :now
  RETURNING id, user_id, instrument_id, kind, metric, direction, threshold, window_seconds
)
INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, next_attempt_at, created_at)
SELECT 'expired:' || x.id, u.id, u.email, 'expired',
       jsonb_build_object('subscription_id', x.id, 'exchange', e.code, 'base', i.base, 'quote', i.quote, 'kind', x.kind,
                          'metric', x.metric, 'direction', x.direction, 'threshold', x.threshold,
                          'window_seconds', x.window_seconds),
       coalesce(end_of_quiet_hours(:now, u.timezone, u.quiet_from, u.quiet_until), :now), :now
FROM expired x
JOIN users u ON u.id = x.user_id
JOIN instruments i ON i.id = x.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
WHERE u.verified_at IS NOT NULL AND u.suppressed_at IS NULL
ON CONFLICT (dedupe_key) DO NOTHING;
