-- Queues a test email to a user, and the same for their other channels.
INSERT INTO outbox (dedupe_key, user_id, recipient, kind, channel, payload, next_attempt_at, created_at)
SELECT 'test:' || u.id || ':' || CAST(:now AS timestamptz) || ':' || channel, u.id, u.email, 'test', channel,
       jsonb_build_object('requested_at', CAST(:now AS timestamptz), 'timezone', u.timezone), :now, :now
FROM users u
CROSS JOIN unnest(ARRAY['email', 'apprise', 'webhook']) AS channel
WHERE u.id = :user_id
  AND (channel <> 'apprise' OR CAST(:channels AS boolean) AND u.channel_url IS NOT NULL)
  AND (channel <> 'webhook' OR CAST(:webhooks AS boolean)
       AND EXISTS (SELECT FROM webhooks w WHERE w.user_id = u.id AND w.disabled_at IS NULL))
ON CONFLICT (dedupe_key) DO NOTHING;
