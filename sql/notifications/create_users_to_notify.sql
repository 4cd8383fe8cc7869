-- Users with unsent alerts. reason: why the user has to wait, null if the alerts are sent now; held_for: the reason in
-- an earlier run; outbox_id: the email that was queued.
CREATE TEMPORARY TABLE IF NOT EXISTS users_to_notify (
  user_id bigint PRIMARY KEY,
  since timestamptz NOT NULL,
  held_for text,
  reason text,
  recheck_at timestamptz NOT NULL,
  limit_reached integer,
  outbox_id bigint
) ON COMMIT DELETE ROWS;
