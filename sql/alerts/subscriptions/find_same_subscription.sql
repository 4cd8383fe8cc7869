-- The subscription that already has this rule.
SELECT id, status FROM subscriptions
WHERE user_id = :user_id AND instrument_id = :instrument_id AND kind = :kind AND metric = :metric
  AND direction = :direction AND threshold = :threshold AND window_seconds = :window_seconds
  AND ladder_percent IS NOT DISTINCT FROM CAST(:ladder_percent AS double precision)
  AND status IN ('pending', 'active', 'paused');
