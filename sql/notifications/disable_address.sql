-- The mail server will take nothing for this address: its rules rest until the person confirms anew.
WITH disabled AS (
  UPDATE users SET disabled_at = :now, disabled_reason = :reason
  WHERE lower(email) = lower(:recipient) AND disabled_at IS NULL
  RETURNING id
)
UPDATE subscriptions SET status = 'paused', refused = true FROM disabled
WHERE subscriptions.user_id = disabled.id AND subscriptions.status = 'active';
