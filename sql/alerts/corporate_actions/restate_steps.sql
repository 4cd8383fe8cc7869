-- States the last steps of ladders in the new unit.
UPDATE subscriptions
SET step_value = CASE metric WHEN 'price' THEN step_value * :ratio ELSE step_value / :ratio END
WHERE instrument_id = :instrument_id AND step_value IS NOT NULL AND step_at < :effective_at;
