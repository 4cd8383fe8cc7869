-- Suppresses an address after a bounce or complaint and pauses the active subscriptions of its user.
WITH suppressed AS (
  UPDATE users SET suppressed_at = :now, suppression_reason = :reason
  WHERE lower(email) = lower(:recipient) AND suppressed_at IS NULL
  RETURNING id
)
UPDATE subscriptions SET status = 'paused', paused_by_suppression = true FROM suppressed
WHERE subscriptions.user_id = suppressed.id AND subscriptions.status = 'active';
