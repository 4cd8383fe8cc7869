-- Confirms a user's address and activates their pending subscriptions, or only those with the given ids, for quotes
-- observed from now on. Locks the user first, see alerts/users.py.
WITH locked AS (
  SELECT id FROM users WHERE id = :user_id FOR NO KEY UPDATE
), confirmed AS (
  UPDATE subscriptions SET status = 'active', active_from = :now FROM locked
  WHERE user_id = locked.id AND status = 'pending'
    AND (CAST(:ids AS bigint[]) IS NULL OR subscriptions.id = ANY (CAST(:ids AS bigint[])))
  RETURNING subscriptions.id
), verified AS (
  UPDATE users SET verified_at = coalesce(verified_at, :now), suppressed_at = NULL, suppression_reason = NULL
  WHERE id = :user_id AND EXISTS (SELECT FROM confirmed)
)
SELECT id FROM confirmed;
