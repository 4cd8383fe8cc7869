-- Queues an email with the link to a user's own page; at most one per minute.
INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, next_attempt_at, created_at)
VALUES ('manage:' || CAST(:user_id AS bigint) || ':' || date_trunc('minute', CAST(:now AS timestamptz)), :user_id, :recipient,
        'manage', CAST(:payload AS jsonb), :now, :now)
ON CONFLICT (dedupe_key) DO NOTHING;
