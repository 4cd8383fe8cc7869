-- The user with an address, added if there is none. :confirmed verifies the address and lifts its suppression.
INSERT INTO users (email, verified_at, created_at) VALUES (:email, CASE WHEN :confirmed THEN CAST(:now AS timestamptz) END, :now)
ON CONFLICT (lower(email)) DO UPDATE SET
  verified_at = coalesce(users.verified_at, excluded.verified_at),
  suppressed_at = CASE WHEN NOT :confirmed THEN users.suppressed_at END,
  suppression_reason = CASE WHEN NOT :confirmed THEN users.suppression_reason END
RETURNING id;
