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
