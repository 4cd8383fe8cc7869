-- The people of one run whose alerts may be told now (no reason against it), and those who have to wait. outbox_id is the mail
-- that tells them.
CREATE TEMPORARY TABLE IF NOT EXISTS people_to_tell (
  user_id bigint PRIMARY KEY,
  since timestamptz NOT NULL,
  held_for text,
  reason text,
  recheck_at timestamptz NOT NULL,
  last_today integer,
  outbox_id bigint
) ON COMMIT DELETE ROWS;
