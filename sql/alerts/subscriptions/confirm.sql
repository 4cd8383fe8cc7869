-- Confirms a user's address and activates the subscription, for quotes observed from now on. Locks the user first, see
-- alerts/users.py.
WITH locked AS (
  SELECT u.id FROM users u JOIN subscriptions s ON s.user_id = u.id WHERE s.id = :id FOR NO KEY UPDATE OF u
), confirmed AS (
  UPDATE subscriptions SET status = 'active', active_from = :now FROM locked WHERE subscriptions.id = :id AND status = 'pending'
  RETURNING user_id
)
UPDATE users SET verified_at = coalesce(verified_at, :now), suppressed_at = NULL, suppression_reason = NULL
FROM confirmed WHERE users.id = confirmed.user_id
RETURNING users.id;
