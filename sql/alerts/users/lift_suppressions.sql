-- Lifts the suppression of one address, or of all addresses suppressed since :since except after complaints. Resumes
-- the subscriptions that the suppression paused, for quotes observed from now on.
WITH lifted AS (
  UPDATE users SET suppressed_at = NULL, suppression_reason = NULL
  WHERE CASE
    WHEN CAST(:email AS text) IS NULL THEN suppressed_at >= CAST(:since AS timestamptz) AND suppression_reason <> :complained
    ELSE suppressed_at IS NOT NULL AND lower(email) = lower(:email)
  END
  RETURNING id
), resumed AS (
  UPDATE subscriptions SET status = 'active', active_from = :now, armed = true, step_value = NULL, snoozed_until = '-infinity'
  FROM lifted
  WHERE subscriptions.user_id = lifted.id AND subscriptions.status = 'paused' AND subscriptions.paused_by_suppression
  RETURNING subscriptions.id
)
SELECT ARRAY(SELECT id FROM lifted ORDER BY id) AS users, (SELECT count(*) FROM resumed) AS subscriptions;
