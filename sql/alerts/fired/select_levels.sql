-- The prices at which a user's active rules on one instrument fire next, where that is a fixed price: the level of crosses,
-- and the next step of a ladder.
SELECT CASE WHEN step_value IS NULL THEN threshold ELSE step_after(step_value, 1, step_rises, ladder_percent) END AS value,
       CASE WHEN step_value IS NULL THEN direction WHEN step_rises THEN 'up' ELSE 'down' END AS direction,
       step_value IS NOT NULL AS is_step
FROM subscriptions
WHERE user_id = :user_id AND instrument_id = :instrument_id AND status = 'active' AND metric = 'price'
  AND (kind = 'crosses' OR step_value IS NOT NULL)
ORDER BY value;
