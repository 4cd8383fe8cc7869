-- The user with an address, added if there is none. :confirmed verifies the address and lifts its suppression. The time
-- zone is saved unless the address is confirmed, or has one: its owner may have chosen it.
INSERT INTO users (email, verified_at, timezone, created_at)
VALUES (:email, CASE WHEN :confirmed THEN CAST(:now AS timestamptz) END, coalesce(CAST(:timezone AS text), 'UTC'), :now)
ON CONFLICT (lower(email)) DO UPDATE SET
  verified_at = coalesce(users.verified_at, excluded.verified_at),
  suppressed_at = CASE WHEN NOT :confirmed THEN users.suppressed_at END,
  suppression_reason = CASE WHEN NOT :confirmed THEN users.suppression_reason END,
  timezone = CASE WHEN users.verified_at IS NULL AND users.timezone = 'UTC' THEN excluded.timezone ELSE users.timezone END
RETURNING id;
