-- Mails know their person, so that erasing the person erases them; local times whatever stands in a time zone.

DROP INDEX outbox_recipient;
ALTER TABLE outbox
  DROP CONSTRAINT outbox_kind_known,
  ADD COLUMN user_id bigint REFERENCES users ON DELETE CASCADE,
  ADD CONSTRAINT outbox_kind_known CHECK (kind IN ('alerts', 'confirmation', 'expired', 'digest', 'manage'));
UPDATE outbox SET user_id = users.id FROM users WHERE lower(users.email) = lower(outbox.recipient);
DELETE FROM outbox WHERE user_id IS NULL;
ALTER TABLE outbox ALTER COLUMN user_id SET NOT NULL;
COMMENT ON COLUMN outbox.kind IS 'manage: a link to the page on which people see, change and erase what is known of them.';
CREATE INDEX outbox_person ON outbox (user_id, created_at);
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE status = 'sent';

-- A zone that Postgres does not know (any more) is read as UTC: nobody's time zone may stop everybody's alerts.
CREATE FUNCTION local_time(moment timestamptz, zone text) RETURNS timestamp LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN moment AT TIME ZONE zone;
EXCEPTION WHEN invalid_parameter_value THEN
  RETURN moment AT TIME ZONE 'UTC';
END $$;

COMMENT ON COLUMN users.digest IS 'daily, weekly: alerts are gathered and told in one mail a day or a week instead of at once.';

-- A mail that goes finds the alerts it told without reading all of them; people's own page and erasing need it.
CREATE INDEX alerts_mail ON alerts (outbox_id) WHERE outbox_id IS NOT NULL;

-- Whether an alert is told stands in the alert itself: outbox_id becomes null when the mail is deleted for its age, and
-- would then call for a second mail.
ALTER TABLE alerts
  ADD COLUMN state text NOT NULL DEFAULT 'notified' CONSTRAINT alerts_state_known CHECK (state IN ('new', 'held', 'notified', 'dropped')),
  ALTER COLUMN state SET DEFAULT 'new',
  DROP CONSTRAINT alerts_outbox_id_fkey,
  ADD CONSTRAINT alerts_outbox_id_fkey FOREIGN KEY (outbox_id) REFERENCES outbox ON DELETE SET NULL;
UPDATE alerts SET state = 'new' WHERE outbox_id IS NULL;
COMMENT ON COLUMN alerts.state IS 'new: this run''s; held: its person may not be told now; told: a mail is queued; dropped: its person left before.';
COMMENT ON COLUMN alerts.outbox_id IS 'The mail that tells it; null before, and after that mail was deleted for its age.';
DROP INDEX alerts_untold;
CREATE INDEX alerts_new ON alerts (id) WHERE state = 'new';
CREATE INDEX alerts_untold ON alerts (subscription_id) WHERE state IN ('new', 'held');
CREATE INDEX subscriptions_person ON subscriptions (user_id);

-- People for whom alerts are held, and when to look at them again: a run meets only those whose moment has come,
-- however many alerts are held.
CREATE TABLE held_users (
  user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  reason text NOT NULL CONSTRAINT held_users_reason_known CHECK (reason IN ('digest', 'quiet', 'cap', 'late', 'suppressed')),
  since timestamptz NOT NULL,
  recheck_at timestamptz NOT NULL
);
COMMENT ON COLUMN held_users.since IS 'When the oldest of the held alerts fired.';
COMMENT ON COLUMN held_users.recheck_at IS 'infinity: no moment frees them, only a new alert or a change of the person does.';
CREATE INDEX held_users_recheck_at ON held_users (recheck_at);

-- Whoever changes when a person may be told need not know who waits: the next run looks again.
CREATE FUNCTION recheck_held_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE held_users SET recheck_at = '-infinity' WHERE user_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER users_recheck_held_user AFTER UPDATE OF timezone, quiet_from, quiet_until, digest, suppressed_at ON users
  FOR EACH ROW
  WHEN ((OLD.timezone, OLD.quiet_from, OLD.quiet_until, OLD.digest, OLD.suppressed_at)
        IS DISTINCT FROM (NEW.timezone, NEW.quiet_from, NEW.quiet_until, NEW.digest, NEW.suppressed_at))
  EXECUTE FUNCTION recheck_held_user();

-- The other way round than local_time.
CREATE FUNCTION utc_time(local_moment timestamp, zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN local_moment AT TIME ZONE zone;
EXCEPTION WHEN invalid_parameter_value THEN
  RETURN local_moment AT TIME ZONE 'UTC';
END $$;

-- When quiet hours that hold at a moment end; null where none hold. Where the clocks skip or repeat the hour in which
-- they end, the earliest moment it can be: it is asked again then.
CREATE FUNCTION end_of_quiet_hours(moment timestamptz, zone text, quiet_from time, quiet_until time)
RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
  here timestamp := local_time(moment, zone);
  clock time := here;
  ends timestamp := CAST(here AS date) + quiet_until;
BEGIN
  IF (quiet_from < quiet_until AND clock >= quiet_from AND clock < quiet_until)
    OR (quiet_from > quiet_until AND (clock >= quiet_from OR clock < quiet_until))
  THEN
    IF quiet_until <= clock THEN
      ends := ends + interval '1 day';
    END IF;
    RETURN least(
      utc_time(ends, zone), utc_time(ends + interval '1 hour', zone) - interval '1 hour', moment + (ends - here));
  END IF;
  RETURN NULL;
END $$;

-- For the matcher: which kinds and windows there are; from a move to the armed subscriptions it reaches, one look-up for
-- both directions it concerns; to the disarmed ones it arms again, where those whose condition goes on holding stay
-- unread. Changes of rows that keep their keys stay on their page; alerts_once serves both directions of time.
DROP INDEX subscriptions_match, alerts_subscription;
CREATE INDEX subscriptions_in_use ON subscriptions (kind, window_seconds) WHERE status = 'active';
CREATE INDEX subscriptions_armed
  ON subscriptions (instrument_id, metric, kind, window_seconds, threshold, direction) WHERE status = 'active' AND armed;
CREATE INDEX subscriptions_disarmed
  ON subscriptions (kind, window_seconds, instrument_id, metric, direction, threshold) WHERE status = 'active' AND NOT armed;
ALTER TABLE subscriptions SET (fillfactor = 85);
ALTER TABLE evaluation_watermarks SET (fillfactor = 50);

-- What is due on other channels is found without reading the mails that wait.
CREATE INDEX outbox_channels_due ON outbox (next_attempt_at) WHERE status = 'queued' AND channel = 'apprise';

-- What operators are told every few minutes is counted, and old mails are found, without reading everything ever sent.
CREATE INDEX outbox_given_up ON outbox (next_attempt_at) WHERE status IN ('failed', 'dropped');
CREATE INDEX users_suppressed ON users (suppressed_at) WHERE suppressed_at IS NOT NULL;

-- Claiming a mail changes no indexed column: with room on its page the claim costs no index anything (half the work).
ALTER TABLE outbox SET (fillfactor = 50);
