-- Queues the confirmation email of a subscription; at most one per minute.
INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, next_attempt_at, created_at)
VALUES ('confirmation:' || CAST(:subscription_id AS bigint) || ':' || date_trunc('minute', CAST(:now AS timestamptz)), :user_id,
        :recipient, 'confirmation', CAST(:payload AS jsonb), :now, :now)
ON CONFLICT (dedupe_key) DO NOTHING;
