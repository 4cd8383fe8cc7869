-- Users with alerts that have not been sent. reason says why a user has to wait, null when the alerts go out now;
-- held_for is the reason of an earlier run; outbox_id is the email that was queued.
CREATE TEMPORARY TABLE IF NOT EXISTS users_to_notify (
  user_id bigint PRIMARY KEY,
  since timestamptz NOT NULL,
  held_for text,
  reason text,
  recheck_at timestamptz NOT NULL,
  limit_reached integer,
  outbox_id bigint
) ON COMMIT DELETE ROWS;
