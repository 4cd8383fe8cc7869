-- The mail server will take nothing for this address: its rules rest until the person confirms anew.
WITH disabled AS (
  UPDATE users SET suppressed_at = :now, suppression_reason = :reason
  WHERE lower(email) = lower(:recipient) AND suppressed_at IS NULL
  RETURNING id
)
UPDATE subscriptions SET status = 'paused', paused_by_suppression = true FROM disabled
WHERE subscriptions.user_id = disabled.id AND subscriptions.status = 'active';
