-- One confirmation mail per subscription.
INSERT INTO outbox (dedupe_key, recipient, kind, payload, next_attempt_at, created_at)
VALUES ('confirmation:' || :subscription_id || ':' || CAST(:now AS timestamptz), :recipient, 'confirmation', CAST(:payload AS jsonb), :now, :now)
ON CONFLICT (dedupe_key) DO NOTHING;
