CREATE TABLE webhooks (
  user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  url text NOT NULL CONSTRAINT webhooks_url_check CHECK (length(url) <= 2000),
  secret text NOT NULL,
  previous_secret text,
  previous_until timestamptz,
  created_at timestamptz NOT NULL,
  disabled_at timestamptz,
  CONSTRAINT webhooks_previous_check CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
);
COMMENT ON TABLE webhooks IS 'Addresses of subscribers'' own, to which their alerts are also sent.';
COMMENT ON COLUMN webhooks.secret IS 'Signs the messages (whsec_…). Not a hash, because signing needs it.';
COMMENT ON COLUMN webhooks.previous_secret IS 'Also signs until previous_until, so that a receiver can change the secret without missing a message.';
COMMENT ON COLUMN webhooks.disabled_at IS 'When the receiver said that it is gone (410).';

ALTER TABLE outbox DROP CONSTRAINT outbox_kind_check, DROP CONSTRAINT outbox_channel_check;
ALTER TABLE outbox
  ADD CONSTRAINT outbox_kind_check CHECK (kind IN ('alerts', 'confirmation', 'expired', 'digest', 'manage', 'test')) NOT VALID,
  ADD CONSTRAINT outbox_channel_check CHECK (channel IN ('email', 'apprise', 'webhook')) NOT VALID;
ALTER TABLE outbox VALIDATE CONSTRAINT outbox_kind_check, VALIDATE CONSTRAINT outbox_channel_check;
CREATE INDEX outbox_webhook_due ON outbox (next_attempt_at) WHERE status = 'queued' AND channel = 'webhook';
CREATE INDEX outbox_tests ON outbox (user_id, created_at) WHERE kind = 'test';
