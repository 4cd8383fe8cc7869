-- A person confirmed: the address is theirs, and the rule judges what is observed from now on. Person before subscription,
-- like everybody who changes both.
WITH person AS (
  SELECT u.id FROM users u JOIN subscriptions s ON s.user_id = u.id WHERE s.id = :id FOR NO KEY UPDATE OF u
), confirmed AS (
  UPDATE subscriptions SET status = 'active', active_from = :now FROM person WHERE subscriptions.id = :id AND status = 'pending'
  RETURNING user_id
)
UPDATE users SET verified_at = coalesce(verified_at, :now), suppressed_at = NULL, suppression_reason = NULL
FROM confirmed WHERE users.id = confirmed.user_id
RETURNING users.id;
