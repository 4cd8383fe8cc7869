-- States the values that the next ones are compared with in the new unit.
UPDATE evaluation_watermarks
SET last_value = CASE metric WHEN 'price' THEN last_value * :ratio ELSE last_value / :ratio END
WHERE instrument_id = :instrument_id AND last_at < :effective_at;
