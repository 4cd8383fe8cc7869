-- One confirmation mail per subscription and minute: who presses the button twice gets one.
INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, next_attempt_at, created_at)
VALUES ('confirmation:' || :subscription_id || ':' || date_trunc('minute', CAST(:now AS timestamptz)), :user_id, :recipient, 'confirmation', CAST(:payload AS jsonb), :now, :now)
ON CONFLICT (dedupe_key) DO NOTHING;
