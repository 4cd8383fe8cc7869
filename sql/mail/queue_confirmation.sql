-- One confirmation mail per subscription.
INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, next_attempt_at, created_at)
VALUES ('confirmation:' || :subscription_id || ':' || CAST(:now AS timestamptz), :user_id, :recipient, 'confirmation', CAST(:payload AS jsonb), :now, :now)
ON CONFLICT (dedupe_key) DO NOTHING;
