-- The rule a person has already.
SELECT id, status FROM subscriptions
WHERE user_id = :user_id AND instrument_id = :instrument_id AND kind = 'change_since_last' AND metric = 'price'
  AND direction = :direction AND threshold = :threshold AND window_seconds IS NULL
  AND status IN ('pending', 'active', 'paused');
