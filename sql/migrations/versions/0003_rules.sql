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

ALTER TABLE match_watermarks
  ADD COLUMN metric text NOT NULL DEFAULT 'price' CONSTRAINT match_watermarks_metric_known CHECK (metric IN ('price', 'volume_24h')),
  ADD COLUMN last_value double precision,
  ADD COLUMN last_at timestamptz,
  DROP CONSTRAINT match_watermarks_pkey,
  ADD CONSTRAINT match_watermarks_pkey PRIMARY KEY (instrument_id, metric);
COMMENT ON COLUMN match_watermarks.last_value IS 'The value judged last, at last_at: what the next one is compared with.';
UPDATE match_watermarks m SET last_value = p.price, last_at = p.observed_at
FROM (
  SELECT w.instrument_id, newest.price, newest.observed_at FROM match_watermarks w
  CROSS JOIN LATERAL (
    SELECT price, observed_at FROM prices
    WHERE prices.instrument_id = w.instrument_id AND observed_at <= w.judged_to
    ORDER BY observed_at DESC LIMIT 1
  ) newest
) p
WHERE p.instrument_id = m.instrument_id;

ALTER TABLE alerts ADD COLUMN missed boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN alerts.missed IS 'Found too late to be news (after an outage): told in the next mail, not in one of its own.';
