-- An operator mended what made the server refuse addresses: mail goes there again, and their rules judge what is observed
-- from now on, but for those that their people had paused. One address, or all refused since a moment but those who
-- complained; how many people and rules.
WITH woken AS (
  UPDATE users SET suppressed_at = NULL, suppression_reason = NULL
  WHERE CASE
    WHEN CAST(:email AS text) IS NULL THEN suppressed_at >= CAST(:since AS timestamptz) AND suppression_reason <> :complained
    ELSE suppressed_at IS NOT NULL AND lower(email) = lower(:email)
  END
  RETURNING id
), resumed AS (
  UPDATE subscriptions SET status = 'active', active_from = :now, armed = true, snoozed_until = '-infinity'
  FROM woken
  WHERE subscriptions.user_id = woken.id AND subscriptions.status = 'paused' AND subscriptions.paused_by_suppression
  RETURNING subscriptions.id
)
SELECT (SELECT count(*) FROM woken) AS people, (SELECT count(*) FROM resumed) AS rules;
