-- Another subscription of the same user with the rule that subscription :id is about to have.
SELECT other.id FROM subscriptions own
JOIN subscriptions other ON other.user_id = own.user_id AND other.instrument_id = own.instrument_id
  AND other.kind = own.kind AND other.metric = own.metric AND other.id <> own.id
WHERE own.id = :id AND other.status IN ('pending', 'active', 'paused')
  AND other.direction = :direction AND other.threshold = :threshold AND other.window_seconds = :window_seconds
ORDER BY other.id
LIMIT 1;
