-- Queues an email about each of the given expired subscriptions, to be sent after its subscriber's quiet hours.
INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, next_attempt_at, created_at)
SELECT 'expired:' || s.id, u.id, u.email, 'expired',
       jsonb_build_object('subscription_id', s.id, 'exchange', e.code, 'exchange_name', e.name,
                          'simulated', coalesce(w.simulated, e.simulated), 'base', i.base, 'quote', i.quote, 'kind', s.kind,
                          'metric', s.metric, 'direction', s.direction, 'threshold', s.threshold,
                          'window_seconds', s.window_seconds, 'ladder_percent', s.ladder_percent),
       coalesce(end_of_quiet_hours(:now, u.timezone, u.quiet_from, u.quiet_until), :now), :now
FROM subscriptions s
JOIN users u ON u.id = s.user_id
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
LEFT JOIN watched_instruments w ON w.instrument_id = i.id
WHERE s.id = ANY (CAST(:subscription_ids AS bigint[])) AND u.verified_at IS NOT NULL AND u.suppressed_at IS NULL
ON CONFLICT (dedupe_key) DO NOTHING;
