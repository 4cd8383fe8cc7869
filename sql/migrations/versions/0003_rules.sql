-- Every kind of rule: windows, standing conditions that re-arm, snoozing, alerts that came too late to be news.

DROP INDEX subscriptions_match, subscriptions_same_rule_once;
UPDATE subscriptions SET window_seconds = 0 WHERE window_seconds IS NULL;
ALTER TABLE subscriptions
  DROP CONSTRAINT subscriptions_window_positive,
  DROP CONSTRAINT subscriptions_status_known,
  ALTER COLUMN window_seconds SET DEFAULT 0,
  ALTER COLUMN window_seconds SET NOT NULL,
  ADD COLUMN armed boolean NOT NULL DEFAULT true,
  ADD COLUMN snoozed_until timestamptz NOT NULL DEFAULT '-infinity',
  ADD CONSTRAINT subscriptions_window_of_kind
    CHECK ((window_seconds > 0) = (kind IN ('change_over_window', 'deviation_from_average'))),
  ADD CONSTRAINT subscriptions_status_known
    CHECK (status IN ('pending', 'active', 'paused', 'ended', 'expired', 'unsubscribed'));
COMMENT ON COLUMN subscriptions.threshold IS 'Percent; for the kind crosses a level in the unit of the metric.';
COMMENT ON COLUMN subscriptions.window_seconds IS '0 for the kinds without a window.';
COMMENT ON COLUMN subscriptions.armed IS 'False from an alert of a standing condition until the condition was false once.';
COMMENT ON COLUMN subscriptions.status IS 'pending: address not confirmed yet; ended: fired its only time; expired: its date has passed.';

-- From a quote straight to the subscriptions it fires: by threshold among the armed. And to those it arms again.
CREATE INDEX subscriptions_match
  ON subscriptions (instrument_id, metric, kind, window_seconds, armed, direction, threshold) WHERE status = 'active';
CREATE INDEX subscriptions_expiry ON subscriptions (expires_at) WHERE status IN ('active', 'paused') AND expires_at IS NOT NULL;
CREATE UNIQUE INDEX subscriptions_same_rule_once
  ON subscriptions (user_id, instrument_id, kind, metric, direction, threshold, window_seconds)
  WHERE status IN ('pending', 'active', 'paused');

ALTER TABLE evaluation_watermarks
  ADD COLUMN metric text NOT NULL DEFAULT 'price' CONSTRAINT evaluation_watermarks_metric_known CHECK (metric IN ('price', 'volume_24h')),
  ADD COLUMN last_value double precision,
  ADD COLUMN last_at timestamptz,
  DROP CONSTRAINT evaluation_watermarks_pkey,
  ADD CONSTRAINT evaluation_watermarks_pkey PRIMARY KEY (instrument_id, metric);
COMMENT ON COLUMN evaluation_watermarks.last_value IS 'The value judged last, at last_at: what the next one is compared with.';
UPDATE evaluation_watermarks m SET last_value = p.price, last_at = p.observed_at
FROM (
  SELECT w.instrument_id, newest.price, newest.observed_at FROM evaluation_watermarks w
  CROSS JOIN LATERAL (
    SELECT price, observed_at FROM prices
    WHERE prices.instrument_id = w.instrument_id AND observed_at <= w.evaluated_to
    ORDER BY observed_at DESC LIMIT 1
  ) newest
) p
WHERE p.instrument_id = m.instrument_id;

ALTER TABLE alerts ADD COLUMN late boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN alerts.late IS 'Found too late to be news (after an outage): told in the next mail, not in one of its own.';

-- How a person wants to be told, and whether their address still takes mail.
ALTER TABLE users
  ADD COLUMN quiet_from time,
  ADD COLUMN quiet_until time,
  ADD COLUMN digest text NOT NULL DEFAULT 'none' CONSTRAINT users_digest_known CHECK (digest IN ('none', 'daily', 'weekly')),
  ADD COLUMN digest_sent_at timestamptz,
  ADD COLUMN channel_url text,
  ADD COLUMN suppressed_at timestamptz,
  ADD COLUMN suppression_reason text,
  ADD CONSTRAINT users_quiet_hours_whole CHECK ((quiet_from IS NULL) = (quiet_until IS NULL));
COMMENT ON COLUMN users.quiet_from IS 'Local time (timezone) from which alerts are held until quiet_until, then sent as one; null for never.';
COMMENT ON COLUMN users.channel_url IS 'Where alerts go besides mail, as apprise writes it; set by operators. It holds secrets.';
COMMENT ON COLUMN users.suppressed_at IS 'The mail server paused_by_suppression the address for good: nothing is sent there any more.';

ALTER TABLE outbox
  DROP CONSTRAINT outbox_kind_known,
  DROP CONSTRAINT outbox_status_known,
  ADD COLUMN channel text NOT NULL DEFAULT 'email' CONSTRAINT outbox_channel_known CHECK (channel IN ('email', 'apprise')),
  ADD CONSTRAINT outbox_kind_known CHECK (kind IN ('alerts', 'confirmation', 'expired', 'digest')),
  ADD CONSTRAINT outbox_status_known CHECK (status IN ('queued', 'sent', 'failed', 'dropped'));
COMMENT ON COLUMN outbox.status IS 'failed: paused_by_suppression for good or tried too often; dropped: an operator gave it up.';
CREATE INDEX outbox_recipient ON outbox (recipient, sent_at);
CREATE INDEX alerts_subscription ON alerts (subscription_id, observed_at DESC);
